"""Addresses with a known secret, in every form that people write them: it is shown nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.bundle.store import Bundle
from edgeseg.datasets import LAYOUT_NAMES
from edgeseg.redact import encode_address, redact, scrub

# Parts of secrets that no address has otherwise. None of them may be seen, not even alone.
WORDS = ("zqxj", "vkwz", "XQJW", "7391", "%zq1")
HOSTS = ("camera.example", "127.0.0.1:8554", "[::1]:554", "192.168.1.20")
SCHEMES = (
    *("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp", "srt", "tcp", "tls", "s3"),
    "camvid:https",
)
KEYS = (
    *("password", "passwd", "pwd", "user-pw", "token", "access_token", "api_key", "sig"),
    *("X-Amz-Signature", "auth", "AWSAccessKeyId", "jwt", "p", "PIN"),
)


def secrets(joiners: str) -> st.SearchStrategy[str]:
    """Words with something between them."""
    words = st.lists(st.sampled_from(WORDS), min_size=2, max_size=4)
    sign = st.sampled_from(joiners)
    return words.flatmap(
        lambda found: st.lists(sign, min_size=len(found), max_size=len(found)).map(
            lambda signs: "".join(map("".join, zip(found, signs, strict=True)))
        )
    )


users = secrets("@/:#%?&=!+, ;$*")
values = secrets("@/:#%?=!+, ;$*") | secrets("@/:#%?!&+, ;$*")


def shows_nothing(text: str) -> None:
    assert not [word for word in WORDS if word in text], text


@given(
    st.sampled_from(SCHEMES), users, st.sampled_from(HOSTS), st.sampled_from(["", "/x?channel=1"])
)
def test_user_and_password(scheme: str, secret: str, host: str, path: str) -> None:
    for user in (secret, f"admin:{secret}", f"{secret}:{secret}"):
        shown = redact(f"{scheme}://{user}@{host}{path}")
        shows_nothing(shown)
        assert shown.endswith(f"***@{host}{path}")


@given(st.sampled_from(SCHEMES), st.sampled_from(KEYS), values, st.sampled_from("/?"))
def test_names_and_values_in_a_path_or_query(scheme: str, key: str, secret: str, mark: str) -> None:
    shows_nothing(redact(f"{scheme}://camera.example/{mark}user=admin&{key}={secret}&channel=1"))
    shows_nothing(redact(f"{scheme}://camera.example{mark}channel=1&{key}={secret}"))
    shows_nothing(redact(f"{scheme}://admin:{secret}@camera.example{mark}{key}={secret}"))


@given(users, st.sampled_from(HOSTS))
def test_an_address_that_is_mistyped(secret: str, host: str) -> None:
    shows_nothing(redact(f"admin:{secret}@{host}/x"))
    shows_nothing(redact(f"rtsp:/admin:{secret}@{host}/x"))
    shows_nothing(redact(f"rtsp//admin:{secret}@{host}/x"))


@given(users, st.sampled_from(["user-pw", "proxy-pw", "location", "extra-token", "uri"]))
def test_a_pipeline(secret: str, name: str) -> None:
    value = f"rtsp://admin:{secret}@host/x" if name in {"location", "uri"} else secret
    pipeline = f'gstreamer:rtspsrc {name}="{value}" ! decodebin ! appsink'
    assert redact(pipeline) == "GStreamer rtspsrc"
    shows_nothing(scrub(f"no such property: {value!s} in {pipeline}", pipeline))


@given(users, st.sampled_from(SCHEMES))
def test_what_others_wrote_about_an_address(secret: str, scheme: str) -> None:
    address = f"{scheme}://admin:{secret}@camera.example/x"
    for said in (address, encode_address(address), secret, f"login with {secret} refused"):
        shows_nothing(scrub(f"[Errno 111] {said}", address))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://127.0.0.1:8554/user=admin&password=SECRET&channel=1",
         "rtsp://127.0.0.1:8554/user=***&password=***&channel=1"),
        ("rtsp://host/user=admin_password=tl4JwpbO_channel=1_stream=0", "rtsp://host/user=***"),
        ("rtsp://host/user=admin&password=p@ss&channel=1",
         "rtsp://host/user=***&password=***&channel=1"),
        ("rtsps://host:7441/AbCdEfGhIjKlMnOp?enableSrtp", "rtsps://host:7441/***?enableSrtp"),
        ("https://host/8f3b9c7712aa4d0e/index.m3u8", "https://host/***/index.m3u8"),
        ("gstreamer:SECRET", "GStreamer"),
        ("srt://host:9000?mode=caller&passphrase=a b&latency=20",
         "srt://host:9000?mode=caller&passphrase=***&latency=20"),
        ("srt://host:9000?streamid=#!::u=admin,s=zq/x&latency=20",
         "srt://host:9000?streamid=***&latency=20"),
        ("srt://host:9000?streamid=read:street:admin:zqxj", "srt://host:9000?streamid=***"),
        ("rtmp://a.rtmp.example/live2/ab1c-defg-hijk", "rtmp://a.rtmp.example/live2/***"),
        ("RTMPS://host:443/app/key/more?user=x", "RTMPS://host:443/app/***?user=***"),
        ("rtmp://admin:zqxj@host/live/street", "rtmp://***@host/live/***"),
        ("udp://@239.0.0.1:5000?pkt_size=1316", "udp://@239.0.0.1:5000?pkt_size=1316"),
    ],
)  # fmt: skip
def test_what_cameras_have(address: str, shown: str) -> None:
    assert redact(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        "drive.mp4", "frames/*.png", "/data/run=3/drive@2x.mp4", "demo", "cityscapes:/data/city",
        "rtsp://camera/stream", "http://host:8080/video.mjpg?channel=1&resolution=640x480",
        "udp://239.0.0.1:5000", "srt://127.0.0.1:9000?mode=listener", "rtmp://host/live",
        "s3://bucket/street/train", "tcp://127.0.0.1:8786", "http://[::1]:80/drive.mp4",
        "http://host/author=kim/drive.mp4",
    ],
)  # fmt: skip
def test_an_address_without_secrets_stays(address: str) -> None:
    assert redact(address) == address
    assert encode_address(address) == address


@pytest.mark.parametrize(
    ("address", "said", "shown"),
    [
        ("rtmp://host/live/ab1c-defg", "no ab1c-defg", "no ***"),
        (
            "rtmp://host/live/stream",
            "stream rtmp://host/live/stream",
            "stream rtmp://host/live/***",
        ),
        ("srt://h:1?passphrase=zqxjvkwz", "wrong zqxjvkwz", "wrong ***"),
        ("srt://h:1?streamid=read:zqxjvkwz", "no read:zqxjvkwz", "no ***"),
    ],
)
def test_keys_of_streams_in_what_others_wrote(address: str, said: str, shown: str) -> None:
    assert scrub(said, address) == shown


@pytest.mark.parametrize(
    "path",
    [
        "runs/session=3/out.png", "exp/author=kim/street", "/data/user=kim/key=2/frames/*.png",
        "/data/12:30/me@work.mp4", "runs/12:30/me@work.mp4", "runs//session=3/out.png",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["", "cityscapes:"])
def test_a_path_of_this_machine_stays(path: str, kind: str) -> None:
    assert redact(kind + path) == kind + path


@pytest.mark.parametrize("kind", ["", "cityscapes:"])
@pytest.mark.parametrize(
    "address",
    [
        "rtsp:/host/user=admin_password=zqxj", "rtsp//host/user=admin_password=zqxj",
        "192.168.1.20/user=admin&password=zqxj", "host/x?token=zqxj", "admin:/zqxj@host/x",
        "//admin:zqxj@host/x", "https://host/x?session=zqxj&authorization=zqxj",
        "rtspsrc location=rtsp://host/x user-pw=zqxj ! appsink",
        "rtspsrc user-pw=zqxj ! appsink",
    ],
)  # fmt: skip
def test_an_address_in_an_unusual_form(address: str, kind: str) -> None:
    shows_nothing(redact(kind + address))


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_each_form_of_a_data_set_may_stand_before_an_address(name: str) -> None:
    assert redact(f"{name}:runs/12:30/me@work.mp4") == f"{name}:runs/12:30/me@work.mp4"
    shows_nothing(redact(f"{name}:rtsp:/host/user=admin_password=zqxj"))


def test_a_path_is_told_as_it_was_given(edgeseg: Callable, seeded_bundle: Bundle) -> None:
    folder = Path("author=kim") / "session=3"
    folder.mkdir(parents=True)
    save = folder / "out.png"
    outcome = edgeseg(
        "run", seeded_bundle.folder, "--source", "demo", "--frames", "1", "--save", save
    )
    assert outcome.status == 0, outcome.err
    assert f"written: {save}" in outcome.err


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("rtsp://u:p@ss@host/x", "rtsp://u:p%40ss@host/x"),
        ("rtsp://u:a/b#c?d@host:554/x", "rtsp://u:a%2Fb%23c%3Fd@host:554/x"),
        ("rtsp://u:a@b/c@192.168.1.2/x", "rtsp://u:a%40b%2Fc@192.168.1.2/x"),
        ("rtsp://u:p@camera/x@2", "rtsp://u:p@camera/x@2"),
        ("rtsp://host/user=u&password=a#b", "rtsp://host/user=u&password=a#b"),
        ("http://u:p#q@host/x?password=a#b", "http://u:p%23q@host/x?password=a%23b"),
        ("rtsp://u:100%@host/x", "rtsp://u:100%25@host/x"),
        ("rtsp://u:p%40ss@host/x", "rtsp://u:p%40ss@host/x"),
        ("rtsp://u:pä ss@host/x@2", "rtsp://u:p%C3%A4%20ss@host/x@2"),
        ("rtsp://u:p@[::1]:554/x", "rtsp://u:p@[::1]:554/x"),
        ("http://host/@street/live", "http://host/@street/live"),
    ],
)
def test_a_password_reaches_the_opener_whole(given: str, opened: str) -> None:
    assert encode_address(given) == opened
