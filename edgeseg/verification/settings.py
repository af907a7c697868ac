"""`edgeseg.toml`: limits that a repository keeps, so that its builds are all judged alike.

    [verify.gates]
    max_drop = 0.5

Options of the command line come before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from edgeseg.errors import SpecError

__all__ = ["SETTINGS", "read_gates"]

SETTINGS: Final = Path("edgeseg.toml")


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table whose keys are all known."""


class _Gates(_Table, frozen=True, kw_only=True):
    """See `edgeseg.accuracy.gates.Limits`."""

    max_drop: float | None = None
    max_class_drop: float | None = None
    min_agreement: float | None = None
    max_regression: float | None = None
    max_class_regression: float | None = None
    max_extra_drop: float | None = None
    max_skipped: float | None = None
    max_latency_ratio: float | None = None
    max_size_mb: float | None = None
    max_memory_mb: float | None = None


class _Verify(_Table, frozen=True, kw_only=True):
    gates: _Gates = _Gates()


class _Settings(_Table, frozen=True, kw_only=True):
    verify: _Verify = _Verify()


def read_gates(path: Path) -> dict[str, float]:
    """The limits that a file sets, by name.

    Raises:
        SpecError: it cannot be read, or holds what edgeseg does not know.
    """
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=_Settings)
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # TOML's is a ValueError
        raise SpecError(
            f"{path} cannot be used: {error}; [verify.gates] takes {', '.join(_GATES)}"
        ) from None
    found = {name: getattr(settings.verify.gates, name) for name in _GATES}
    return {name: value for name, value in found.items() if value is not None}


_GATES: Final = tuple(field.name for field in msgspec.structs.fields(_Gates))
