"""What is done with a frame in the pipeline, stage by stage."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeseg.runtime.drawing import Drawing
from edgeseg.runtime.finish import Finish
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.live.feed import Feed
from edgeseg.runtime.live.network import Choice, Network, list_networks, make_pick
from edgeseg.runtime.live.reuse import Reuse
from edgeseg.runtime.live.ways import (
    Inferred,
    Prepared,
    explain_host,
    infer_together,
    make_way,
)
from edgeseg.runtime.result import Result, Segmentation
from edgeseg.runtime.sources import Captured
from edgeseg.runtime.tiling import segment_tiled

__all__ = ["Stages", "Work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A frame of a feed in the pipeline, with the results of the stages so far."""

    captured: Captured
    feed: int
    grab_ms: float
    network: int = 0
    prepared: Prepared | None = None
    inferred: Inferred | None = None
    tiled: Segmentation | None = None


class Stages:
    """What is done with a frame, stage by stage. Frames that waited too long are left out."""

    def __init__(
        self,
        network: Network | Choice,
        feeds: Sequence[Feed],
        finish: Finish,
        reuse: Reuse,
        drawings: Sequence[Drawing | None],
    ) -> None:
        self._networks = list_networks(network)
        self._pick = make_pick(network)
        self._finish = finish
        self._feeds = feeds
        self.on_device = explain_host(finish, reuse) is None and any(
            one.path is not None for one in self._networks
        )
        # Each network has outputs of its own, which no other one's frame may reuse.
        self._ways = [
            [make_way(one, finish, reuse, drawing) for one in self._networks]
            for drawing in drawings or [None] * len(feeds)
        ]
        self.ended = threading.Event()

    def close(self) -> None:
        """Release what the ways of all sources hold."""
        for ways in self._ways:
            for way in ways:
                way.close()

    def prepare(self, work: Work) -> Work | None:
        """Make the input of the network that is picked now; tiles are made by `infer`."""
        if self._finish.tile:
            return work
        if self._is_old(work):
            return None
        network = self._pick()
        prepared = self._ways[work.feed][network].prepare(work.captured)
        return replace(work, network=network, prepared=prepared)

    def infer(self, work: Work) -> Work | None:
        """Run the network; with tiles, window by window, and make the whole mask.

        Raises:
            BackendError: the engine fails.
        """
        if self._is_old(work):
            return None
        if self._finish.tile:
            return self._infer_tiles(work)
        assert work.prepared is not None, "it was just prepared"
        return replace(work, prepared=None, inferred=work.prepared.infer())

    def find_batch(self, work: Work) -> FrameBatch | None:
        """Find what takes a prepared frame together with others; None where it goes alone."""
        batch = self._networks[work.network].batch
        if batch is None or not self._may_join(work, work.network):
            return None
        return batch

    def may_join(self, first: Work, other: Work) -> bool:
        """Tell whether another frame, not yet prepared, may go together with a prepared one."""
        return self._pick() == first.network and self._may_join(other, first.network)

    def infer_together(self, works: Sequence[Work]) -> list[Work] | None:
        """Run the network for prepared frames at once; None where they go one by one.

        Raises:
            BackendError: the engine fails.
        """
        (first, *others) = {work.network for work in works}
        batch = self._networks[first].batch
        if others or batch is None:
            return None
        inferred = infer_together([work.prepared for work in works], batch)
        if inferred is None:
            return None
        return [
            replace(work, prepared=None, inferred=one)
            for work, one in zip(works, inferred, strict=True)
        ]

    def mask(self, work: Work) -> Result:
        """Make the mask.

        Raises:
            BackendError: what the network gave is not usable.
        """
        return Result(
            captured=work.captured,
            segmentation=work.tiled or _finish(work.inferred),
            grab_ms=work.grab_ms,
            feed=work.feed,
            network=work.network,
            reused=work.inferred is not None and work.inferred.reused,
            dropped=self._feeds[work.feed].dropped,
            skipped=self._feeds[work.feed].skipped,
            failed=self._feeds[work.feed].failed,
        )

    def _may_join(self, work: Work, network: int) -> bool:
        return self._ways[work.feed][network].may_join(work.captured)

    def _infer_tiles(self, work: Work) -> Work:
        tiled = segment_tiled(
            self._networks[0].backend,
            self._networks[0].input,
            work.captured.image,
            self._finish,
            stopped=self.ended.is_set,
        )
        return replace(work, tiled=tiled)

    def _is_old(self, work: Work) -> bool:
        return self._feeds[work.feed].limit.refuses(work.captured.at)


def _finish(inferred: Inferred | None) -> Segmentation:
    assert inferred is not None, "it was just inferred"
    return inferred.finish()
