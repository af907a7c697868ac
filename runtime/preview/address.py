"""The preview's address, and the token that its viewers need."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from edgeseg.errors import SinkError

__all__ = ["DEFAULT", "Address", "is_address", "is_loopback", "parse_address"]

DEFAULT: Final = "127.0.0.1:8008"
# A shorter token could be guessed by trying.
_SHORTEST_TOKEN: Final = 8
_FORM: Final = re.compile(r"(?:(?P<host>[^\[\]:/\s]+|\[[0-9a-fA-F:.]+\]|):)?(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port (0: a free one), and the token that every request must carry, if any.

    Raises:
        SinkError: other machines can reach the host, and there is no token.
    """

    host: str
    port: int
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token == "":
            raise SinkError("an empty --preview-token protects nothing; give one")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise SinkError("a --preview-token is plain letters, figures and signs (ASCII)")
        if self.token is not None and len(self.token) < _SHORTEST_TOKEN:
            raise SinkError(f"a --preview-token has {_SHORTEST_TOKEN} characters or more")
        if not self.is_loopback and self.token is None:
            raise SinkError(
                f"other machines can reach a preview at {self.host}; protect it with "
                f"--preview-token TOKEN, as from: openssl rand -hex 16; or serve it at {DEFAULT}"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or number stands for this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Tell whether `text` looks like an address, or like a host's number without a port."""
    if _FORM.fullmatch(text) is not None:
        return True
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def parse_address(text: str, token: str | None) -> Address:
    """Parse HOST:PORT, [IPV6]:PORT, or a port on loopback such as 8009 or :8009.

    Raises:
        SinkError: `text` has another form, or the address needs a token.
    """
    found = _FORM.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise SinkError(f"a preview is served at HOST:PORT, as {DEFAULT}; got {text!r}")
    host = (found["host"] or "127.0.0.1").strip("[]")
    return Address(host=host, port=int(found["port"]), token=token)
