"""A real RTSP server in a process of its own, to be killed and started again at one address."""

from __future__ import annotations

import subprocess
from pathlib import Path

SERVER = Path(__file__).with_name("rtsp_server.py")
# Debian's, which has the bindings; a virtual environment has not.
SYSTEM_PYTHON = "/usr/bin/python3"


def has_rtsp() -> bool:
    """Whether its packages are installed."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    command = [SYSTEM_PYTHON, "-c", probe]
    return (
        Path(SYSTEM_PYTHON).exists()
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


class RtspServer:
    """Serves `what` (see rtsp_server.py) at `url` while the block runs; to `user` alone, if any."""

    def __init__(self, what: str | Path = "ball", *, user: tuple[str, str] | None = None) -> None:
        self._what = [str(what), *(user or ())]
        self._port = "0"
        self.start()

    def start(self, what: str | None = None) -> None:
        """Start at the address of before; with `what`, serve that from now on."""
        if what is not None:
            self._what[0] = what
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(SERVER), self._port, *self._what],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._port = self.url.rpartition(":")[2].partition("/")[0]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
