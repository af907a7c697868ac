"""Opens a checkpoint in the framework that trained it: the check of how edgeseg reads it.

edgeseg's network is edgeseg's own reading of the weights, so agreement with it proves nothing about
the reading. Here somebody else's network and image processor make the mask.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeseg.errors import CheckpointError, MissingPackageError
from edgeseg.export.frameworks.smp_check import open_smp, resizes_for_smp
from edgeseg.export.frameworks.transformers_check import (
    open_transformers,
    resizes_in_transformers,
)
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import Say, ignore
from edgeseg.spec import GRAY, RGB, InputSpec
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["FRAMEWORKS", "OwnFramework", "demand_framework", "open_framework"]

Segment = Callable[[Bgr], ClassMap]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFramework:
    """A checkpoint in its own framework.

    `segment` turns a uint8 BGR (H, W, 3) frame into class ids (H, W) of the frame's size. A gray
    network's frame is a gray camera's: its three channels are equal. Of other channels the frame
    is (H, W, C).
    """

    name: str
    version: str
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Framework:
    """A framework that can be asked: its package, and the layouts that it trains.

    `bands` says whether it takes images of any number of channels, and not color and gray only.
    """

    package: str
    layouts: tuple[str, ...]
    open: Callable[[str, Checkpoint], Segment]
    resizes: Callable[[InputSpec], bool]
    bands: bool


FRAMEWORKS: Final[Mapping[str, _Framework]] = {
    "transformers": _Framework(
        package="transformers",
        layouts=("huggingface", "huggingface-5"),
        open=open_transformers,
        resizes=resizes_in_transformers,
        bands=False,  # its image processor takes four for a color with alpha, and five not at all
    ),
    "smp": _Framework(
        package="segmentation_models_pytorch",
        layouts=("smp",),
        open=open_smp,
        resizes=resizes_for_smp,
        bands=True,
    ),
}


def demand_framework(name: str, source: str, checkpoint: Checkpoint) -> None:
    """Refuse a framework, asked for by name, that cannot judge the checkpoint.

    Raises:
        CheckpointError: it does not train this layout, lacks the resizing rule, or takes no such
            images.
        MissingPackageError: it is not installed.
    """
    framework = FRAMEWORKS[name]
    if checkpoint.layout not in framework.layouts:
        raise CheckpointError(
            f"{source} has the layout of {checkpoint.layout}, which {name} does not load; "
            f"leave --check-with out"
        )
    lack = _find_lack(framework, checkpoint)
    if lack is not None:
        raise CheckpointError(
            f"{source} cannot be checked with {name}: {lack}; leave --check-with out"
        )
    if not _is_installed(framework):
        distribution = framework.package.replace("_", "-")
        raise MissingPackageError(
            distribution,
            purpose=f"--check-with {name}",
            command=f"pip install {distribution}",
        )


def open_framework(
    source: str, checkpoint: Checkpoint, *, asked: str | None, say: Say = ignore
) -> OwnFramework | None:
    """Open a checkpoint in the framework `asked` for, or in its own one if that is installed.

    Returns None where nothing was asked for, and no installed framework trains this layout; or
    where the framework lacks the resizing rule or takes no such images, which `say` hears.

    Raises:
        CheckpointError: the framework cannot load the checkpoint, or the one that was asked for
            cannot judge it.
        MissingPackageError: the framework that was asked for is not installed.
    """
    if asked is not None:
        demand_framework(asked, source, checkpoint)
        return _open(asked, source, checkpoint)
    for name, framework in FRAMEWORKS.items():
        if checkpoint.layout in framework.layouts and _is_installed(framework):
            lack = _find_lack(framework, checkpoint)
            if lack is None:
                return _open(name, source, checkpoint)
            say(f"not checked with {name}: {lack}")
    return None


def _open(name: str, source: str, checkpoint: Checkpoint) -> OwnFramework:
    framework = FRAMEWORKS[name]
    segment = framework.open(source, checkpoint)
    version = str(importlib.import_module(framework.package).__version__)
    return OwnFramework(name=name, version=version, segment=segment)


def _is_installed(framework: _Framework) -> bool:
    return importlib.util.find_spec(framework.package) is not None


def _find_lack(framework: _Framework, checkpoint: Checkpoint) -> str | None:
    """Find what a framework cannot do of a checkpoint's input; None where it can do all."""
    spec = checkpoint.input
    if not framework.resizes(spec):
        return f"it has no {spec.resize.value}, aspect {spec.aspect.value}"
    if checkpoint.spec.channels not in {GRAY, RGB} and not framework.bands:
        told = pluralize(checkpoint.spec.channels, "channel")
        return f"it gets color or gray images, and the network takes {told}"
    return None
