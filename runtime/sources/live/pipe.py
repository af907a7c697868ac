"""Reads bytes from a pipe or file that is open already; another thread may end the wait."""

from __future__ import annotations

import os
import select
import threading
import time
from typing import Final

from edgeseg.progress import Say

__all__ = ["Pipe"]

# Seconds of silence after which a line is said.
SILENCE_S: Final = 5.0
_BETWEEN_LOOKS_S: Final = 0.2


class Pipe:
    """Reads from a file descriptor, as far as readers of files need: `read`, and nothing more.

    The wait for the sender has no limit, since its end ends the pipe; `say` hears of a long one.
    """

    def __init__(self, descriptor: int, name: str, say: Say) -> None:
        self._descriptor = descriptor
        self._name = name
        self._say = say
        self._ahead = b""
        self._stopped = threading.Event()

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes as soon as there are any; none at the end, or after `stop`."""
        if self._ahead:
            given, self._ahead = self._ahead[:size], self._ahead[size:]
            return given
        return os.read(self._descriptor, size) if self._wait() else b""

    def read_whole(self, size: int) -> bytes:
        """Read `size` bytes; fewer only at the end, or after `stop`."""
        parts: list[bytes] = []
        left = size
        while left and (part := self.read(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def look_ahead(self, size: int) -> bytes:
        """Read `size` bytes that `read` will give again; fewer only at the end."""
        self._ahead = self.read_whole(size)
        return self._ahead

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, so that the end of reading is not the sender's."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End all reading."""
        self._stopped.set()

    def _wait(self) -> bool:
        """Wait for bytes or the end; false after `stop`."""
        begun: float | None = time.monotonic()
        while not self._stopped.is_set():
            if select.select([self._descriptor], [], [], _BETWEEN_LOOKS_S)[0]:
                return True
            if begun is not None and time.monotonic() - begun > SILENCE_S:
                self._say(f"{self._name}: nothing came for {SILENCE_S:g} s; waiting")
                begun = None
        return False
