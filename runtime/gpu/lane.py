"""The frames of one source on the path of a device: two under way, and the last for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import numpy as np

from edgeseg.errors import BackendError, DeviceLostError
from edgeseg.pixels import Bgr
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.gpu.buffers import FrameBuffers
from edgeseg.runtime.gpu.path import FramePath
from edgeseg.runtime.gpu.slots import Landed, Slot

__all__ = ["Flight", "Lane", "land_one_by_one", "launch_together"]

# What a plan's "fault" says, in words.
_FAULTS: Final = {1: "logits that are not finite", 2: "a class id that no class has"}
_REMEDY: Final = "export the bundle again, and if it stays so, in another precision"
# Rows that are compared at a time: frames of a camera differ in the first ones.
_ROWS: Final = 32


class Lane:
    """Sends the frames of one source over a path.

    A flight must be taken, or nobody may want it any more, before the second launch after its own:
    that launch uses its memory again. Of the threads of a pipeline, one asks `fits`, one calls
    `find_same` and `launch`, and one takes flights.
    """

    def __init__(self, path: FramePath, drawing: Drawing | None = None) -> None:
        """With `drawing`, each frame also brings back its overlay."""
        self._path = path
        self._drawing = drawing
        self._buffers: FrameBuffers | None = None
        # Of sizes before: those whose flight may be out, and those whose flight was taken by now.
        self._left: list[FrameBuffers] = []
        self._free: list[FrameBuffers] = []
        self._last: Flight | None = None
        self._refused: set[tuple[int, int]] = set()

    def fits(self, frame: Bgr) -> bool:
        """Tell whether frames of this size, uint8 (H, W, 3), take this path."""
        height, width = frame.shape[:2]
        planned = self._path.plan(height, width, self._drawing)
        return planned is not None and (height, width) not in self._refused

    def find_same(self, frame: Bgr) -> Flight | None:
        """Find the last flight if its frame was the same, byte by byte."""
        last = self._last
        if last is None or last.frame.shape != frame.shape:
            return None
        rows = range(0, len(frame), _ROWS)
        same = all(np.array_equal(frame[r : r + _ROWS], last.frame[r : r + _ROWS]) for r in rows)
        return last if same else None

    def launch(self, frame: Bgr) -> Flight | None:
        """Copy a frame that `fits`, and queue all that is done for it.

        None where the device has too little memory for frames of this size, which a line says
        once; they do not fit any more.

        Raises:
            BackendError: a call fails.
        """
        buffers = self.board(frame)
        if buffers is None:
            return None
        self._path.launch(buffers, buffers.slot)
        return self.depart(buffers)

    def board(self, frame: Bgr) -> FrameBuffers | None:
        """Copy a frame that `fits` into its slot, from which it is launched; None as in `launch`.

        Raises:
            BackendError: a call fails.
        """
        self._last = None
        _close_all(self._free)
        buffers = self._find_buffers(frame)
        if buffers is not None:
            buffers.slot.uses += 1
            np.copyto(buffers.slot.frame.array, frame)
        return buffers

    def depart(self, buffers: FrameBuffers) -> Flight:
        """Give the flight of the frame that was boarded and launched."""
        slot = buffers.slot
        buffers.turn()
        # Whoever launches another frame has seen the flight before this one taken.
        self._free, self._left = self._left, []
        self._last = Flight(self._path, slot)
        return self._last

    def close(self) -> None:
        """Release everything, after the device is done with it."""
        self._last = None
        with suppress(BackendError):  # the device is lost, and whoever waited for it knows
            self._path.settle()
        self._leave_size()
        _close_all(self._left)
        _close_all(self._free)

    def _find_buffers(self, frame: Bgr) -> FrameBuffers | None:
        """Find the buffers of a frame's size, or make them in the place of the size before."""
        height, width = frame.shape[:2]
        if self._buffers is not None and self._buffers.size == (height, width):
            return self._buffers
        if (height, width) in self._refused:
            return None
        self._leave_size()
        self._buffers = self._return_to(height, width)
        if self._buffers is not None:
            return self._buffers
        plan = self._path.plan(height, width, self._drawing)
        assert plan is not None, "the frame fits"
        try:
            self._buffers = self._path.make_buffers(plan, height, width)
        except DeviceLostError:
            raise
        except BackendError as error:
            self._refused.add((height, width))
            self._path.say(f"frames of {height}x{width} are prepared by the CPU: {error}")
        return self._buffers

    def _return_to(self, height: int, width: int) -> FrameBuffers | None:
        """Take back the buffers of a size that no frame of another size has followed."""
        known = next((one for one in self._left if one.size == (height, width)), None)
        if known is not None:
            self._left.remove(known)
        return known

    def _leave_size(self) -> None:
        if self._buffers is not None:
            self._left.append(self._buffers)
            self._buffers = None


def _close_all(buffers: list[FrameBuffers]) -> None:
    while buffers:
        buffers.pop().close()


def launch_together(batch: FrameBatch, frames: Sequence[tuple[Lane, Bgr]]) -> list[Flight] | None:
    """Launch a frame of each of so many lanes at once; None where one is out of memory for it.

    Raises:
        BackendError: a call fails.
    """
    boarded = []
    for lane, frame in frames:
        buffers = lane.board(frame)
        if buffers is None:
            return None
        boarded.append(buffers)
    batch.launch([(buffers, buffers.slot) for buffers in boarded])
    return [lane.depart(buffers) for (lane, _), buffers in zip(frames, boarded, strict=True)]


def land_one_by_one(frames: Iterable[tuple[Lane, Bgr]]) -> None:
    """Launch frames with two under way, as a run does, and wait for all of them.

    Raises:
        BackendError: a call fails.
    """
    before: Flight | None = None
    for lane, frame in frames:
        now = lane.launch(frame)
        if before is not None:
            before.take()
        before = now
    if before is not None:
        before.take()


class Flight:
    """A frame that is under way on the device."""

    def __init__(self, path: FramePath, slot: Slot) -> None:
        self._path = path
        self._slot = slot
        self._use = slot.uses

    @property
    def frame(self) -> Bgr:
        """The path's own copy of the frame."""
        frame: Bgr = self._slot.frame.array
        return frame

    def wait(self) -> None:
        """Wait until the device is done with the frame.

        Raises:
            BackendError: a call failed.
        """
        self._path.cuda.wait_for(self._slot.done)

    def take(self) -> Landed:
        """Wait for the frame's results, and copy them. May be called again.

        Raises:
            BackendError: the engine's output is not usable, or a call failed.
        """
        assert self._use == self._slot.uses, "a flight is taken before its slot is used again"
        self.wait()
        fault = self._slot.fault
        if fault:
            raise BackendError(f"{self._path.name} gave {_FAULTS[fault]}; {_REMEDY}")
        return self._slot.copy_results()
