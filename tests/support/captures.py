"""Captures of the tests' own, in place of cv2.VideoCapture: there is no camera where tests run."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

PICTURE = np.zeros((2, 2, 3), np.uint8)


class FakeCapture:
    """Gives so many frames, then none; `hangs` is waited for then."""

    def __init__(
        self,
        frames: int,
        *,
        opens: bool = True,
        hangs: threading.Event | None = None,
        picture: np.ndarray = PICTURE,
    ) -> None:
        self.frames, self.opens, self.hangs, self.picture = frames, opens, hangs, picture
        self.released = self.reading = False

    def isOpened(self) -> bool:  # noqa: N802  # as OpenCV's
        return self.opens

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.reading = True
        self.frames -= 1
        if self.frames < 0 and self.hangs is not None:
            self.hangs.wait(timeout=60)
        self.reading = False
        return (True, self.picture) if self.frames >= 0 else (False, None)

    def get(self, _prop: int) -> float:
        return 0.0

    def set(self, _prop: int, _value: float) -> bool:
        return True

    def release(self) -> None:
        assert not self.reading, "to let go of a device that is being read crashes"
        self.released = True


def in_turn(*captures: FakeCapture, most: int = 50) -> Callable[..., FakeCapture]:
    """Opens one after the other; the last again and again, but not without end."""
    opened: list[FakeCapture] = []

    def opens(*_asked: object) -> FakeCapture:
        assert len(opened) < most, f"opened {most} times"
        opened.append(captures[min(len(opened), len(captures) - 1)])
        return opened[-1]

    return opens
