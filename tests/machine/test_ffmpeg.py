"""What the FFmpeg of OpenCV and PyAV says that it opens agrees with what it opens."""

from __future__ import annotations

import av
import pytest

from edgeseg.machine.ffmpeg import opens_scheme


@pytest.mark.parametrize("scheme", ["rtmp", "rtmps", "udp", "srt", "tcp", "http", "https", "nope"])
def test_pyav_opens_what_is_told(scheme: str) -> None:
    """FFmpeg names a missing protocol in an error of its own."""
    try:
        av.open(f"{scheme}://127.0.0.1:9/x?timeout=1000", timeout=0.2).close()
        opens = True
    except av.ProtocolNotFoundError:
        opens = False
    except (av.FFmpegError, OSError):
        opens = True
    assert opens_scheme("av", scheme) is opens


@pytest.mark.parametrize("module", ["cv2", "av"])
def test_what_every_wheel_opens(module: str) -> None:
    assert opens_scheme(module, "rtsp") is True
    assert opens_scheme(module, "rtsps") is True
    assert opens_scheme(module, "nope") is False


def test_what_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert opens_scheme("av", "rtsp") is None
