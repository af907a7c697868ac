"""How an address is called before people: without user names, passwords, tokens and keys.

Whatever is shown, logged, served or stored names a source, a data set or a server by `redact`. An
address that is ambiguous loses more than it must rather than less: of `rtsp://u:a/b@host/x` nobody
can tell whether the host is `u`. A path of this machine is no address, and loses nothing.
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
    "scrubbed",
]

HIDDEN: Final = "***"
# What a pipeline for GStreamer begins with, where an address is expected.
GSTREAMER: Final = "gstreamer:"

_SCHEME: Final = re.compile(r"(?:\w+:)?[A-Za-z][\w+.:-]*://")
# What is no path of this machine: a URL or a pipeline; one whose scheme is mistyped; one that names
# a user and no scheme; one with a query.
_ADDRESS: Final = re.compile(
    r".*://|.* ! |(?:rtsps?|rtmps?|https?|s3|tcp|tls|udp|srt)(?::/|//)"
    r"|(?:[\w+.-]*(?::/+|//+))?[^/]*:.*@|.*[?&][^=&/]+=",
    re.DOTALL | re.IGNORECASE,
)
# What may stand before the path of a published data set.
_DATASET: Final = re.compile(r"(?:(?:ade20k|camvid|cityscapes|cocostuff):)?")
_BARE_USER: Final = re.compile(r".*:.*@", re.DOTALL)
_HOST: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?=[/?#]|$)")
# A value may hold an & of its own: one that no further name follows.
_VALUE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<key>[A-Za-z0-9_.~-]+)=(?=(?P<value>[^&]*(?:&[^=&]*(?=&|$))*))"
)
_PRIVATE: Final = re.compile(
    r"pass|pw|psw|pin$|psk|secret|token|key|auth(?!or(?!i))|sig|cred|user|usr|login|account|jwt|sess|sid"
    r"|^u$|^p$",
    re.IGNORECASE,
)
# Letters and figures without a word among them, as UniFi's streams and signed addresses have.
_RANDOM: Final = re.compile(
    r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?=[a-z]*[A-Z]+[a-z]+[A-Z]+[a-z]+[A-Z])[A-Za-z]{16,}(?![A-Za-z0-9])"
)
_PROPERTY: Final = re.compile(r"([A-Za-z][\w-]*)\s*=\s*(\"(?:\\.|[^\"])*\"|'[^']*'|\S+)")
# A part of a secret that is as short as this occurs in any text.
_SHORTEST: Final = 4


def redact(address: str) -> str:
    """An address, or anything that may be one, as it may be shown; a plain path as it is.

    Of a GStreamer pipeline only its first element is named.
    """
    if address.startswith(GSTREAMER):
        element = re.match(r"\s*([a-z][a-z0-9_]*)(?=\s|!|$)", address.removeprefix(GSTREAMER))
        return f"GStreamer {element[1]}" if element else "GStreamer"
    shown, at = "", 0
    for start, end in _merged(sorted(_spans(address))):
        shown += address[at:start] + HIDDEN
        at = end
    return shown + address[at:]


def scrub(text: str, *addresses: str) -> str:
    """What others wrote about addresses, without the secrets that these hold."""
    for address in addresses:
        text = text.replace(address, redact(address))
    secrets = {secret for address in addresses for secret in _secrets(address)}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


@contextmanager
def scrubbed(*addresses: str | None) -> Iterator[None]:
    """What goes wrong within is told without the secrets of these addresses."""
    try:
        yield
    except EdgesegError as error:
        told = scrub(str(error), *filter(None, addresses))
        if told == str(error):
            raise
        raise type(error)(told) from None


def holds_secret(address: str) -> bool:
    """Whether there is anything in it that must not be shown."""
    return any(True for _ in _hidden(address))


def encode_address(url: str) -> str:
    """The same address in the form that every reader of URLs takes as it is meant.

    A `#`, `/` or `@` in a password would end it, and a `#` in a path or query would end a web
    address: nobody asks for a part of a video by name. What is percent-encoded already stays.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        return url
    rest = url[scheme.end() :]
    end = _user_end(rest)
    place = rest[end:].replace("#", "%23") if scheme[0].startswith("http") else rest[end:]
    if end == 0:
        return f"{scheme[0]}{place}"
    user, colon, password = rest[: end - 1].partition(":")
    return f"{scheme[0]}{_encoded(user)}{colon}{_encoded(password)}@{place}"


def _encoded(part: str) -> str:
    return quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", part), safe="%!$&'()*+,;=")


def _user_end(rest: str) -> int:
    """Where the host begins, 0 where no user is named; `rest` is what follows `://`.

    That is behind the last @ before the path. But where no host can be there, or a mere name is and
    an address or a full name stands behind a later @, the / or # in between is the password's own.
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
    """Whether it is more than one word: a word before a / may be a part of a password."""
    return host == "localhost" or not host.isalnum()


def _spans(address: str) -> Iterator[tuple[int, int]]:
    """What must not be shown, as (start, end)."""
    kind = _DATASET.match(address)
    if _ADDRESS.match(address, kind.end() if kind else 0) is None:
        return
    values = list(_private_values(address))
    yield from values
    yield from (found.span() for found in _RANDOM.finditer(address) if _SCHEME.match(address))
    scheme = _SCHEME.match(address)
    if scheme is None and not _BARE_USER.match(address):
        return
    start = scheme.end() if scheme else 0
    for found in re.finditer("@", address):
        inside = any(begin <= found.start() < end for begin, end in values)
        if found.start() >= start and (not inside or _HOST.match(address, found.end())):
            yield start, found.start()


def _private_values(address: str) -> Iterator[tuple[int, int]]:
    for found in _VALUE.finditer(address):
        if _PRIVATE.search(found["key"]):
            start, end = found.span("value")
            yield start, end


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = end = -1
    for begin, stop in spans:
        if begin > end:
            if end > start:
                yield start, end
            start = begin
        end = max(end, stop)
    if end > start:
        yield start, end


def _hidden(address: str) -> Iterator[str]:
    """The pieces that must not be shown, as they stand there."""
    if not address.startswith(GSTREAMER):
        yield from (address[start:end] for start, end in _spans(address))
        return
    for key, value in _PROPERTY.findall(address):
        bare = value.strip("\"'")
        yield from [bare] if _PRIVATE.search(key) else _hidden(bare)


def _secrets(address: str) -> Iterator[str]:
    """The secrets themselves, as they stand there, decoded and encoded."""
    for piece in _hidden(address):
        for part in (piece, piece.partition(":")[2]):  # a password without its user's name
            forms = (part, unquote(part), quote(part), quote(part, safe=""), _encoded(part))
            yield from (form for form in forms if len(form) >= _SHORTEST)
