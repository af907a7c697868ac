"""Gives the newest result, and pictures of it, to viewers that wait in an event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from edgeseg.runtime.legend import Legend
from edgeseg.runtime.preview.board import Board
from edgeseg.runtime.preview.picture import Look, to_jpeg
from edgeseg.runtime.result import Result

__all__ = ["Encoder", "Newest"]

T = TypeVar("T")

_NICENESS: Final = 10


class Newest:
    """The newest result. It belongs to one event loop; call `wake` and `end` in that loop."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._changed = asyncio.Event()
        self.ended = False  # whether no more results come

    def wake(self) -> None:
        """Announce a new result: all waiters go on, and later waiters wait for the next result."""
        self._changed.set()
        self._changed = asyncio.Event()

    def end(self) -> None:
        """End all waiting."""
        self.ended = True
        self.wake()

    async def wait_after(
        self, seen: Result | None, *, unless: asyncio.Future[None], seconds: float
    ) -> Result | None:
        """Wait until a result follows `seen`, `unless` is done or time is up; give the newest."""
        if self._board.newest is seen and not self.ended:
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait(
                (changed, unless), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            changed.cancel()
        return self._board.newest


class Encoder:
    """Encodes all pictures in one thread; viewers with the same `Look` share a picture."""

    def __init__(self, legend: Legend) -> None:
        self._legend = legend
        self._thread = ThreadPoolExecutor(1, "edgeseg preview", _step_back)
        self._of: Result | None = None
        self._made: dict[Look, asyncio.Future[bytes]] = {}

    async def encode(self, result: Result, look: Look) -> bytes:
        """Encode a result by `to_jpeg`, for a page."""
        if self._of is not result:
            self._of, self._made = result, {}
        made = self._made.get(look)
        if made is None:
            made = asyncio.ensure_future(self.run(lambda: to_jpeg(result, self._legend, look)))
            self._made[look] = made
        return await asyncio.shield(made)  # a viewer who leaves must not cancel it for the others

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` in the thread and give its result."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Release the thread."""
        self._thread.shutdown(cancel_futures=True)


def _step_back() -> None:
    """Lower this thread's priority below the engine's; Linux has a niceness for each thread."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
