"""A machine that no test runs on."""

from __future__ import annotations

from edgeseg.bundle.manifest import Machine

# No processor has this feature alone.
ELSEWHERE = Machine(cpu="Celeron", architecture="x86_64", features=("amx_fp16",), cores=2)
