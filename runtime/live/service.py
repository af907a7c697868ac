"""Tells systemd that a run is up and alive, where systemd started the run (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from typing import Final

__all__ = ["Service"]

_EVERY_S: Final = 1.0


class Service:
    """Reports to the service manager; does nothing where there is none.

    Without frames it reports nothing, so a manager with a watchdog may restart the run.
    """

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for a name in Linux's abstract namespace.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._told = -_EVERY_S

    def report_ready(self, status: str) -> None:
        """Report that the source is open and frames are being segmented."""
        self._tell(f"READY=1\nSTATUS={status}")

    def report_alive(self) -> None:
        """Report to the watchdog that the run is alive, once a second at most."""
        now = time.monotonic()
        if now - self._told >= _EVERY_S:
            self._told = now
            self._tell("WATCHDOG=1")

    def report_stopping(self) -> None:
        """Report that the run is ending."""
        self._tell("STOPPING=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto(state.encode(), self._address)
        except OSError:  # the run goes on when the manager is gone
            self._address = ""
