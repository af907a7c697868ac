"""What a process is like while it runs for long."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

MINUTES = float(os.environ.get("EDGESEG_SOAK_MINUTES", "30"))


def measure_process(pid: int) -> dict[str, int]:
    """Resident memory in kB, threads and descriptors."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return {
        "resident": int(status["VmRSS"].split()[0]),
        "threads": int(status["Threads"]),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


def ask(url: str) -> Any:
    """What a preview's page of JSON says."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)
