"""What the pipeline needs of a segmenter, and the choice of one for each frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.gpu.batch import FrameBatch
from edgeseg.runtime.gpu.path import FramePath
from edgeseg.spec import InputSpec

__all__ = ["Choice", "Network", "list_networks", "make_pick"]


class Network(Protocol):
    """What the pipeline needs of a segmenter: an engine, and how a frame becomes its input."""

    @property
    def backend(self) -> Backend:
        """The engine. Only one thread calls it at a time."""

    @property
    def path(self) -> FramePath | None:
        """The path of whole frames on the engine's device; None where the host does the rest."""

    @property
    def batch(self) -> FrameBatch | None:
        """What takes several frames at once on the path; None where they go one by one."""

    @property
    def input(self) -> InputSpec:
        """The size of the engine's input, and the rule by which frames are resized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Networks of the same weights and classes; `pick` gives the index of the next frame's."""

    networks: Sequence[Network]
    pick: Callable[[], int]


def list_networks(network: Network | Choice) -> Sequence[Network]:
    """List the networks that frames may be segmented by."""
    return network.networks if isinstance(network, Choice) else [network]


def make_pick(network: Network | Choice) -> Callable[[], int]:
    """Make what gives the index of the next frame's network in `list_networks`."""
    return network.pick if isinstance(network, Choice) else lambda: 0
