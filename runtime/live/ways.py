"""The ways from a frame to its mask, step by step: on the host around an engine, or on a device.

The steps are those of the pipeline. Each gives an object that makes the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from edgeseg.pixels import Frame, Output, to_input
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.finish import Finish
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.gpu.lane import Flight, Lane, launch_together
from edgeseg.runtime.landing import land
from edgeseg.runtime.live.network import Network
from edgeseg.runtime.live.reuse import LastMask, Reuse, Reuser
from edgeseg.runtime.result import Segmentation
from edgeseg.runtime.sources import Captured
from edgeseg.runtime.timing import time_call

__all__ = ["Inferred", "Prepared", "Way", "explain_host", "infer_together", "make_way"]


class Inferred(Protocol):
    """A frame with what the network gave for it, or is about to give."""

    @property
    def reused(self) -> bool:
        """Whether it was given for an earlier frame."""

    def finish(self) -> Segmentation:
        """Make the mask.

        Raises:
            BackendError: what the network gave is not usable.
        """


class Prepared(Protocol):
    """A frame as the network takes it."""

    def infer(self) -> Inferred:
        """Run the network, or take what it gave for an earlier frame.

        Raises:
            BackendError: the engine fails.
        """


class Way(Protocol):
    """The way of one source's frames through one network. Each step has a thread of its own."""

    def prepare(self, captured: Captured) -> Prepared:
        """Make the network's input."""

    def may_join(self, captured: Captured) -> bool:
        """Tell whether a device makes the frame, so that it may go together with others."""

    def close(self) -> None:
        """Release what the way holds, when no step is under way."""


def make_way(network: Network, finish: Finish, reuse: Reuse, drawing: Drawing | None) -> Way:
    """Make the way of a source: the device's, where it serves, else the host's.

    With `drawing`, a device also draws the frames.
    """
    host = _HostWay(network, finish, reuse)
    if network.path is None or explain_host(finish, reuse) is not None:
        return host
    drawn = None if finish.becomes else drawing  # the legend's ids are those that classes become
    return _DeviceWay(Lane(network.path, drawn), finish, host)


def infer_together(prepared: Sequence[Prepared | None], batch: FrameBatch) -> list[Inferred] | None:
    """Queue frames at once, of ways that said that they may join.

    None where they are fewer than the device takes, or one finds no memory there.

    Raises:
        BackendError: the engine fails.
    """
    inputs = [one for one in prepared if isinstance(one, _DeviceInput)]
    if len(inputs) != batch.frames:
        return None
    frames = [(one.way.lane, one.captured.image) for one in inputs]
    flights, launch_ms = time_call(launch_together, batch, frames)
    if flights is None:
        return None
    return [
        _DeviceOutput(one.way, flight, reused=False, host_ms=launch_ms / batch.frames)
        for one, flight in zip(inputs, flights, strict=True)
    ]


def explain_host(finish: Finish, reuse: Reuse) -> str | None:
    """Explain why the host prepares frames and makes masks; None where a device may do it."""
    if finish.tile:
        return "tiles are put together there"
    if finish.needs_logits:
        return "how sure the network is of a pixel is computed there"
    return None if reuse.factor is None else "the gate compares the network's inputs there"


class _HostWay:
    def __init__(self, network: Network, finish: Finish, reuse: Reuse) -> None:
        self.spec = network.input
        self.reuser = Reuser(reuse, partial(_infer, network.backend))
        self.last_mask = LastMask(finish)

    def prepare(self, captured: Captured) -> Prepared:
        network_input, prepare_ms = time_call(to_input, captured.image, self.spec)
        return _HostInput(self, captured, network_input, prepare_ms)

    def may_join(self, captured: Captured) -> bool:
        del captured
        return False

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _HostInput:
    way: _HostWay
    captured: Captured
    network_input: Frame
    prepare_ms: float

    def infer(self) -> Inferred:
        find = self.way.reuser.find_output
        (output, reused), infer_ms = time_call(find, self.network_input, self.captured)
        return _HostOutput(self.way, self.captured, output, reused, self.prepare_ms, infer_ms)


@dataclass(frozen=True, slots=True)
class _HostOutput:
    way: _HostWay
    captured: Captured
    output: Output
    reused: bool
    prepare_ms: float
    infer_ms: float

    def finish(self) -> Segmentation:
        find, spec = self.way.last_mask.find, self.way.spec
        (mask, scores), mask_ms = time_call(find, self.output, spec, self.captured.image)
        return Segmentation(
            mask=mask,
            scores=scores,
            prepare_ms=self.prepare_ms,
            infer_ms=self.infer_ms,
            mask_ms=mask_ms,
        )


def _infer(backend: Backend, network_input: Frame) -> Output:
    """Run the engine; copy an output that the next frame's inference would overwrite."""
    output = backend.infer(network_input)
    return output.copy() if backend.reuses_output else output


class _DeviceWay:
    """Frames whose size the device does not take go the host's way."""

    def __init__(self, lane: Lane, finish: Finish, host: _HostWay) -> None:
        self.lane, self.plan, self.host = lane, finish, host

    def prepare(self, captured: Captured) -> Prepared:
        fits = self.lane.fits(captured.image)
        return _DeviceInput(self, captured) if fits else self.host.prepare(captured)

    def may_join(self, captured: Captured) -> bool:
        image = captured.image
        return self.lane.fits(image) and self.lane.find_same(image) is None

    def close(self) -> None:
        self.lane.close()


@dataclass(frozen=True, slots=True)
class _DeviceInput:
    way: _DeviceWay
    captured: Captured

    def infer(self) -> Inferred:
        """Queue the frame, unless it is the last one again, byte by byte."""
        lane, image = self.way.lane, self.captured.image
        flight, find_ms = time_call(lane.find_same, image)
        if flight is not None:
            return _DeviceOutput(self.way, flight, reused=True, host_ms=find_ms)
        flight, launch_ms = time_call(lane.launch, image)
        if flight is None:
            return self.way.host.prepare(self.captured).infer()
        return _DeviceOutput(self.way, flight, reused=False, host_ms=find_ms + launch_ms)


@dataclass(frozen=True, slots=True)
class _DeviceOutput:
    way: _DeviceWay
    flight: Flight
    reused: bool
    host_ms: float

    def finish(self) -> Segmentation:
        return land(self.flight, self.way.plan, host_ms=self.host_ms, reused=self.reused)
