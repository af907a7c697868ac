"""Reads what kind of source a name means: the one place that knows the schemes of addresses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from edgeseg.errors import SourceError
from edgeseg.redact import redact
from edgeseg.text import join_words

__all__ = [
    "SCHEMES",
    "STDIN",
    "STREAM_SCHEMES",
    "is_camera",
    "is_source_file",
    "is_stream",
    "is_web",
    "is_web_video",
    "read_name",
]

# What names standard input where a source is expected, and what the system calls it.
STDIN: Final = "-"
_STDIN_PATHS: Final = frozenset({"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})

_WEB: Final = ("http", "https")
# What FFmpeg opens as a stream; http and https also carry files.
STREAM_SCHEMES: Final = ("rtsp", "rtsps", "rtmp", "rtmps", "udp", "srt", "tcp", *_WEB)
SCHEMES: Final = (*STREAM_SCHEMES, "file")

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_FILE: Final = "file://"
_VIDEO_SUFFIXES: Final = (".avi", ".mkv", ".mov", ".mp4", ".webm")
_DEVICES: Final = "/dev/"


def read_name(uri: str | int) -> str | int:
    """Read a source's name as a user types it, and return the form that all parts compare.

    `0` becomes a camera's number, unless a file or folder has that name. `file://` becomes the path
    that it encodes. A scheme becomes lower case, as FFmpeg compares it. `/dev/stdin` becomes `-`.
    Any other name stays.

    Raises:
        SourceError: the name is empty, the scheme is not known, or a `file://` names another
            machine.
    """
    if isinstance(uri, int):
        return uri
    if not uri:
        raise SourceError("a source is empty; name a file, a folder, a camera or an address")
    if uri in _STDIN_PATHS:
        return STDIN
    if uri.isascii() and uri.isdecimal():
        return uri if _exists(Path(uri)) else int(uri)
    found = _SCHEME.match(uri)
    if found is None:
        return uri
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        raise SourceError(
            f"{scheme}:// is no scheme of a source; those are "
            f"{join_words([f'{known}://' for known in SCHEMES])}"
        )
    lowered = f"{scheme}{uri[len(scheme) :]}"
    return read_name(_read_path(lowered)) if scheme == "file" else lowered


def is_camera(uri: str | int) -> bool:
    """Tell whether a name, as `read_name` returns it, is a camera: a number, or a device's path.

    A device may be absent, as an unplugged camera is. A file in /dev/shm is no device.
    """
    if isinstance(uri, int):
        return True
    path = Path(uri)
    return uri.startswith(_DEVICES) and (path.is_char_device() or not _exists(path))


def is_stream(uri: str | int) -> bool:
    """Tell whether a name, as `read_name` returns it, is an address that FFmpeg opens."""
    return isinstance(uri, str) and uri.startswith(tuple(f"{name}://" for name in STREAM_SCHEMES))


def is_source_file(uri: str | int) -> bool:
    """Tell by its name whether a source is a file that names sources."""
    return isinstance(uri, str) and "://" not in uri and uri.lower().endswith(".toml")


def is_web(uri: str | int) -> bool:
    """Tell whether a name, as `read_name` returns it, is a web address: a stream, or a file."""
    return isinstance(uri, str) and uri.startswith(tuple(f"{name}://" for name in _WEB))


def is_web_video(uri: str | int) -> bool:
    """Tell by a web address's ending whether it is a file; asking the server could use it up."""
    return is_web(uri) and Path(urlsplit(str(uri)).path).suffix.lower() in _VIDEO_SUFFIXES


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long a name, or a closed folder: whoever opens it says so
        return True


def _read_path(uri: str) -> str:
    """Decode `file:///path` and `file://localhost/path`."""
    host, slash, path = uri.removeprefix(_FILE).partition("/")
    if host not in {"", "localhost"} or not path:
        raise SourceError(
            f"{redact(uri)} is no file of this machine; a file's address has three slashes and the "
            f"whole path, as file:///home/me/drive.mp4; a plain path works, too"
        )
    return unquote(f"{slash}{path}")
