"""`edgeseg.toml`: limits that a repository keeps, so that its builds are all judged alike.

    [verify.gates]
    max_drop = 0.5

Options of the command line win over the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from edgeseg.accuracy.limits import Limits
from edgeseg.errors import SpecError

__all__ = ["SETTINGS", "read_limits"]

SETTINGS: Final = Path("edgeseg.toml")


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table that refuses unknown keys."""


class _Verify(_Table, frozen=True, kw_only=True):
    gates: dict[str, object] = {}


class _Settings(_Table, frozen=True, kw_only=True):
    verify: _Verify = _Verify()


def read_limits(path: Path) -> Limits:
    """Read the limits that a file sets; the others have their defaults.

    Raises:
        SpecError: the file cannot be read, or holds a key or value that edgeseg does not know.
    """
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=_Settings)
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # TOML raises ValueError
        raise SpecError(
            f"{path} cannot be used: {error}; limits stand under [verify.gates]"
        ) from None
    return Limits.of(settings.verify.gates, origin=f"{path}: ")
