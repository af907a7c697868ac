"""Hides user names, passwords, tokens and keys in addresses that are shown to people.

Whatever edgeseg shows, logs, serves or stores names a source, a data set or a server by `redact`.
If an address is ambiguous, too much is hidden rather than too little: in `rtsp://u:a/b@host/x` the
host may be `u` or `host`. A path of this machine is no address, and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote, unquote

from edgeseg.errors import EdgesegError

__all__ = [
    "GSTREAMER",
    "HIDDEN",
    "encode_address",
    "holds_secret",
    "redact",
    "scrub",
    "hide_secrets",
]

HIDDEN: Final = "***"
# The prefix of a GStreamer pipeline, where an address is expected.
GSTREAMER: Final = "gstreamer:"

_SCHEME: Final = re.compile(r"(?:\w+:)?[A-Za-z][\w+.:-]*://")
# What is no path of this machine: a URL or a pipeline, also with a mistyped scheme; an address with
# a user and no scheme; an address with a query.
_ADDRESS: Final = re.compile(
    r".*://|.* ! |(?:rtsps?|rtmps?|https?|s3|tcp|tls|udp|srt)(?::/|//)"
    r"|(?:[\w+.-]*(?::/+|//+))?[^/]*:.*@|.*[?&][^=&/]+=",
    re.DOTALL | re.IGNORECASE,
)
# What may stand before the path of a data set: the names of edgeseg.datasets.LAYOUT_NAMES.
_DATASET: Final = re.compile(
    r"(?:(?:ade20k|bdd100k|beside|camvid|camvid32|cityscapes|coco|cocostuff|cvat|folder|kitti"
    r"|labelme|mapillary|mmseg|parquet|roboflow|voc):)?"
)
_BARE_USER: Final = re.compile(r".*:.*@", re.DOTALL)
_HOST: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?=[/?#]|$)")
# An & that no further name follows belongs to the value.
_VALUE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<key>[A-Za-z0-9_.~-]+)=(?=(?P<value>[^&]*(?:&[^=&]*(?=&|$))*))"
)
_PRIVATE: Final = re.compile(
    r"pass|pw|psw|pin$|psk|secret|token|key|auth(?!or(?!i))|sig|cred|user|usr|login|account|jwt|sess|sid"
    r"|streamid"  # SRT's holds names, passwords and keys
    r"|^u$|^p$",
    re.IGNORECASE,
)
# What follows an application's name in RTMP's addresses is often the key to a stream.
_STREAM_KEY: Final = re.compile(r"[^/?]*/+[^/?]+/+(?P<key>[^?]+)")
# Letters and digits that hold no word, as in UniFi's streams and in signed addresses.
_RANDOM: Final = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?=[a-z]*[A-Z]+[a-z]+[A-Z]+[a-z]+[A-Z])[A-Za-z]{16,}(?![A-Za-z0-9])"
)
_PROPERTY: Final = re.compile(r"([A-Za-z][\w-]*)\s*=\s*(\"(?:\\.|[^\"])*\"|'[^']*'|\S+)")
# Shorter parts of a secret occur in any text.
_SHORTEST: Final = 4


def redact(address: str) -> str:
    """Return an address as it may be shown, without its secrets; a plain path stays as it is.

    Only the first element of a GStreamer pipeline is named.
    """
    if address.startswith(GSTREAMER):
        element = re.match(r"\s*([a-z][a-z0-9_]*)(?=\s|!|$)", address.removeprefix(GSTREAMER))
        return f"GStreamer {element[1]}" if element else "GStreamer"
    shown, at = "", 0
    for start, end in _merge_spans(sorted(_find_spans(address))):
        shown += address[at:start] + HIDDEN
        at = end
    return shown + address[at:]


def scrub(text: str, *addresses: str) -> str:
    """Remove the secrets of `addresses` from a text that another library wrote."""
    for address in addresses:
        text = text.replace(address, redact(address))
    secrets = {secret for address in addresses for secret in _list_secrets(address)}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


@contextmanager
def hide_secrets(*addresses: str | None) -> Iterator[None]:
    """Remove the secrets of these addresses from the messages of errors that the block raises."""
    try:
        yield
    except EdgesegError as error:
        told = scrub(str(error), *filter(None, addresses))
        if told == str(error):
            raise
        raise type(error)(told) from None


def holds_secret(address: str) -> bool:
    """Whether an address holds anything that must not be shown."""
    return any(True for _ in _find_hidden(address))


def encode_address(url: str) -> str:
    """Percent-encode a URL's user, path and query, so that every parser of URLs reads it alike.

    A `#`, `/` or `@` would end a password, and a `#` would end a path or query. edgeseg has no use
    for a URL's fragment. What is percent-encoded already stays as it is.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return url
    rest = url[scheme.end() :]
    end = _find_user_end(rest)
    place = rest[end:].replace("#", "%23") if scheme[0].startswith("http") else rest[end:]
    if end == 0:
        return f"{scheme[0]}{place}"
    user, colon, password = rest[: end - 1].partition(":")
    return f"{scheme[0]}{_encode(user)}{colon}{_encode(password)}@{place}"


def _encode(part: str) -> str:
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part), safe="%!$&'()*+,;=")


def _find_user_end(rest: str) -> int:
    """Find where the host begins in `rest`, the text after `://`; 0 if no user is named.

    The host follows the last @ before the path. It follows a later @ if no host can stand after
    that one, or if only a bare name stands there and a full name or an address follows the later
    @: the / or # in between then belongs to the password.
    """
    path = re.search(r"[/?#]", rest)
    end = rest.rfind("@", 0, path.start() if path else len(rest)) + 1
    first = _HOST.match(rest, end)
    if first and _is_full(first[0]):
        return end
    later = [at.end() for at in re.finditer("@", rest) if at.end() > end]
    hosts = {at: found[0] for at in later if (found := _HOST.match(rest, at))}
    full = [at for at, host in hosts.items() if _is_full(host)]
    if first:
        return full[-1] if full and end else end
    return (full or list(hosts) or [end])[-1]


def _is_full(host: str) -> bool:
    """Whether a host has more than one word: a single word before a / may belong to a password."""
    return host == "localhost" or not host.isalnum()


def _find_spans(address: str) -> Iterator[tuple[int, int]]:
    """Find the spans that must not be shown, as (start, end)."""
    kind = _DATASET.match(address)
    if _ADDRESS.match(address, kind.end() if kind else 0) is None:
        return
    values = list(_find_private_values(address))
    yield from values
    yield from (found.span() for found in _RANDOM.finditer(address) if _SCHEME.match(address))
    yield from _find_stream_key(address)
    scheme = _SCHEME.match(address)
    if scheme is None and not _BARE_USER.match(address):
        return
    start = scheme.end() if scheme else 0
    for found in re.finditer("@", address):
        inside = any(begin <= found.start() < end for begin, end in values)
        if found.start() >= start and (not inside or _HOST.match(address, found.end())):
            yield start, found.start()


def _find_stream_key(address: str) -> Iterator[tuple[int, int]]:
    scheme = _SCHEME.match(address)
    if scheme is None or not scheme[0].lower().startswith("rtmp"):
        return
    host = scheme.end() + _find_user_end(address[scheme.end() :])
    found = _STREAM_KEY.match(address, host)
    if found:
        yield found.span("key")


def _find_private_values(address: str) -> Iterator[tuple[int, int]]:
    for found in _VALUE.finditer(address):
        if _PRIVATE.search(found["key"]):
            start, end = found.span("value")
            yield start, end


def _merge_spans(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = end = -1
    for begin, stop in spans:
        if begin > end:
            if end > start:
                yield start, end
            start = begin
        end = max(end, stop)
    if end > start:
        yield start, end


def _find_hidden(address: str) -> Iterator[str]:
    """Find the pieces of text that must not be shown."""
    if not address.startswith(GSTREAMER):
        yield from (address[start:end] for start, end in _find_spans(address))
        return
    for key, value in _PROPERTY.findall(address):
        bare = value.strip("\"'")
        yield from [bare] if _PRIVATE.search(key) else _find_hidden(bare)


def _list_secrets(address: str) -> Iterator[str]:
    """List the secrets: as written, decoded and encoded."""
    words = {address[start:end] for start, end in _find_stream_key(address)}
    for piece in _find_hidden(address):
        # A word for a stream, as in rtmp://host/live/camera, occurs in any text, and is no secret.
        if piece in words and piece.isalpha():
            continue
        for part in (piece, piece.partition(":")[2]):  # a password without its user's name
            forms = (part, unquote(part), quote(part), quote(part, safe=""), _encode(part))
            yield from (form for form in forms if len(form) >= _SHORTEST)
