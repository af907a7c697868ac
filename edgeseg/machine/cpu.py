"""Describes this machine's processor: latencies hold only where it is the same."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Final

from edgeseg.bundle.manifest import Machine

__all__ = ["describe_machine"]

# Linux's names of the instructions that integer and 16-bit kernels are chosen by.
_FEATURES: Final = frozenset(
    {
        *("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
        *("amx_int8", "amx_bf16", "amx_fp16"),
        *("asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve"),
    }
)


@cache
def describe_machine() -> Machine:
    """Read the processor's name, architecture and features, and count the usable cores."""
    fields = _read_cpuinfo()
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return Machine(
        cpu=fields.get("model name", platform.processor() or platform.machine()),
        architecture=platform.machine(),
        features=tuple(sorted(flags & _FEATURES)),
        cores=_count_cores(),
    )


def _read_cpuinfo() -> dict[str, str]:
    """Read the first processor's lines of /proc/cpuinfo; nothing where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _count_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
