"""Who may see the preview, and where it is served."""

from __future__ import annotations

import pytest
from previews import ABOUT, TOKEN, get, port_of, preview, result

from edgeseg.errors import SinkError
from edgeseg.runtime.preview.address import Address, is_address, parse_address
from edgeseg.runtime.preview.sink import open_previews

PATHS = ("/", "/page.js", "/page.css", "/info", "/stats", "/stream", "/snapshot", "/healthz",
         "/metrics", "/nothing")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_path_asks_for_the_token(path: str) -> None:
    with preview(TOKEN) as sink:
        sink.write(result(0))
        for given in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Cookie": f"edgeseg_preview_{port_of(sink)}=wrong"},
        ):
            status, _, body = get(sink, path, **given)
            assert status == 401
            assert TOKEN.encode() not in body
        assert get(sink, f"{path}?token=wrong")[0] == 401
        if path != "/stream":
            allowed = get(sink, path, Authorization=f"Bearer {TOKEN}")[0]
            assert allowed == (404 if path == "/nothing" else 200)


def test_cookies_of_others_do_not_matter() -> None:
    """A browser sends a host's cookies to all its ports."""
    with preview(TOKEN) as sink:
        own = f"edgeseg_preview_{port_of(sink)}=correct horse"
        for others in ("a/b=1", 'x={"a":1}', "edgeseg_preview_1=wrong", "=;;"):
            assert get(sink, "/stats", Cookie=f"{others}; {own}")[0] == 200
            assert get(sink, "/stats", Cookie=others)[0] == 401


def test_a_page_opened_with_the_token_gets_a_cookie_and_a_clean_address() -> None:
    with preview(TOKEN) as sink:
        status, headers, _ = get(sink, "/?token=correct%20horse")
        assert (status, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert get(sink, "/stats", Cookie=cookie.partition(";")[0])[0] == 200
        assert get(sink, "/stats?token=correct%20horse")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "192.168.0.7", "", "[::1", "localhost.evil"]
)
def test_without_a_token_only_this_machines_names_are_answered(host: str) -> None:
    with preview() as sink:
        assert get(sink, "/stats", Host=host)[0] == 403
        assert get(sink, "/stats", Host="localhost:9")[0] == 200
        assert get(sink, "/stats", Host="[::1]:9")[0] == 200
        assert get(sink, "/stats", Host="127.0.0.2:9")[0] == 200


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8000", "127.0.0.1", 8000),
        ("localhost:1", "localhost", 1),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:80", "::1", 80),
        (":8009", "127.0.0.1", 8009),
    ],
)
def test_an_address(text: str, host: str, port: int) -> None:
    assert parse_address(text, None) == Address(host=host, port=port)


@pytest.mark.parametrize("text", ["", "street", "host:", ":", "a b:1", "h:65536", "http://h:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SinkError, match="HOST:PORT"):
        parse_address(text, TOKEN)
    assert is_address(text) == (text == "h:65536")


@pytest.mark.parametrize("text", ["0.0.0.0:80", "[::]:80", "robot:80", "192.168.0.7:80"])
def test_what_others_reach_needs_a_token(text: str) -> None:
    with pytest.raises(SinkError, match="protect it with --preview-token"):
        parse_address(text, None)
    with pytest.raises(SinkError, match="an empty --preview-token"):
        parse_address(text, "")
    with pytest.raises(SinkError, match="plain letters"):
        parse_address(text, "\u20acuro")
    assert parse_address(text, TOKEN).token == TOKEN


def test_a_port_in_use_is_one_clear_line() -> None:
    with (
        preview() as sink,
        pytest.raises(SinkError, match=r"127\.0\.0\.1:\d+: Address already in use; choose another"),
    ):
        open_previews(Address(host="127.0.0.1", port=port_of(sink)), [ABOUT])


def test_a_host_that_is_not_here() -> None:
    with pytest.raises(SinkError, match="no preview at"):
        open_previews(Address(host="203.0.113.1", port=1, token=TOKEN), [ABOUT])
