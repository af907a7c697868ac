"""Reads what a Jetson is and how it is set: latencies hold only where this is the same."""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Jetson", "State", "identify_device", "read_jetson", "read_state"]

# L4T's major release and the JetPack that brings it (NVIDIA's JetPack archive).
_JETPACKS: Final = {"35": "5", "36": "6", "38": "7"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Jetson:
    """The board; all fields are empty where this is no Jetson."""

    model: str = ""
    l4t: str = ""

    @property
    def jetpack(self) -> str:
        """JetPack's major version; empty where it is not known."""
        return _JETPACKS.get(self.l4t.partition(".")[0], "")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How the board is set now; None for what cannot be read without more rights."""

    power_mode: str | None
    gpu_mhz: float | None
    temperature_c: float | None


def read_jetson(root: Path = Path("/")) -> Jetson:
    """Read the board's model and its release of Linux for Tegra, such as `36.4.3`."""
    release = _read(root / "etc/nv_tegra_release")
    # The file begins so: # R36 (release), REVISION: 4.3, GCID: ...
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    return Jetson(
        model=_read(root / "proc/device-tree/model").strip("\0\n "),
        l4t="" if found is None else f"{found[1]}.{found[2]}",
    )


def identify_device(root: Path = Path("/")) -> str:
    """Hash what tells this device from others; the hash reveals nothing of it.

    A board's serial number is used where there is one: copied images share the host's name and even
    the machine's id, and a container may get another name each time. Elsewhere the host's name and
    the machine's id are used together.
    """
    serial = _read(root / "proc/device-tree/serial-number").strip("\0\n ")
    known = serial or f"{_read(root / 'etc/machine-id').strip()} {platform.node()}"
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def read_state(root: Path = Path("/")) -> State:
    """Read the power mode, the GPU clock and the temperature of the hottest zone."""
    mode = re.search(r"pmode:(\d+)", _read(root / "var/lib/nvpmodel/status"))
    clocks = [_read_number(path) for path in root.glob("sys/class/devfreq/*g*u*/cur_freq")]
    zones = [_read_number(path) for path in root.glob("sys/class/thermal/thermal_zone*/temp")]
    clock = max((hertz for hertz in clocks if hertz is not None), default=None)
    hottest = max((value for value in zones if value is not None), default=None)
    return State(
        power_mode=None if mode is None else str(int(mode[1])),
        gpu_mhz=None if clock is None else clock / 1e6,
        temperature_c=None if hottest is None else hottest / 1e3,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _read_number(path: Path) -> float | None:
    try:
        return float(_read(path))
    except ValueError:
        return None
