"""What a target's module must have, so that an export can make the target's artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from edgeseg.progress import Progress
from edgeseg.quantize.calibrated import Calibrated
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.search import Candidate, Quantizer
from edgeseg.quantize.workspace import Workspace
from edgeseg.runtime.backends.backend import Backend
from edgeseg.spec import Upsampling
from edgeseg.targets import find_target

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.calibration.observe import Tap
    from edgeseg.pixels import Frame

__all__ = ["Effort", "Job", "Maker", "Tools", "load_maker", "open_to_prove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long a maker's own work takes, for the plan that an export prints before it begins.

    In times of inferring the same images in FP32, calibrating takes `calibration` once, and
    `recipe` for each recipe; a recipe takes `recipe_s` seconds beside that. `floats` is how many
    float candidates `prepare` adds to those that it is given.
    """

    calibration: float = 0.0
    recipe: float = 0.0
    recipe_s: float = 0.0
    floats: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a maker is given to work with.

    `graph` is the float ONNX graph, `floats` its artifact under each of the maker's float types.
    `frames` give the network's input, uint8 (1, H, W, C), of the calibration images, of every two
    one in other light. `calibrate` observes the values of given taps on these frames; it is None
    where no INT8 is asked for. `upsampling` is for graphs that end in class ids.
    """

    graph: ModelProto
    floats: Sequence[Candidate]
    frames: Sequence[Callable[[], Frame]]
    calibrate: Callable[[Sequence[Tap]], Calibrated] | None
    upsampling: Upsampling
    workspace: Workspace
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a search for variants works with.

    `floats` are tried first, FP32 at their head. Without a `quantizer` there is no INT8. `forms`
    gives the further files of a candidate that passed, from which a device chooses. `estimator`
    says who finds ranges, where edgeseg's own calibration does not.
    """

    floats: Sequence[Candidate]
    quantizer: Quantizer | None
    forms: Callable[[Candidate], Iterable[Candidate]] = lambda _candidate: ()
    estimator: str | None = None


class Maker(Protocol):
    """The module that makes a target's artifacts, `edgeseg/quantize/targets/NAME.py`.

    `RECIPES` are tried by name, from careful to bold. `ROLES` are those that its quantizer can do;
    recipes are cut down to them. `EFFORT` tells how long that takes.
    """

    RECIPES: Mapping[str, Recipe]
    ROLES: frozenset[str]
    EFFORT: Effort

    def convert(self, graph: Path) -> Path:
        """Replace a float ONNX file by the target's own artifact, and return its path.

        Raises:
            MissingPackageError: the converter is not installed.
        """

    def float_types(self) -> tuple[str, ...]:
        """List the types that a float artifact is tried in here: `f32`, then `bf16` or `f16`."""

    def prepare(self, job: Job) -> Tools:
        """Prepare the candidates and the quantizer of one export.

        Raises:
            MissingPackageError: the quantizer is not installed.
        """

    def open_to_prove(
        self, path: Path, compute: str, *, logits_shape: tuple[int, ...] | None
    ) -> Backend:
        """Open an artifact on the engine that decides about its accuracy on this machine.

        Raises:
            BackendError: the engine refuses the artifact.
        """

    def check(self, path: Path) -> None:
        """Check a file as it ships.

        Raises:
            ExportError: the file breaks a rule of the engine.
        """


def load_maker(target: str) -> Maker:
    """Import the module that makes a target's artifacts.

    Raises:
        BackendError: this edgeseg has no such target.
    """
    return cast("Maker", import_module(find_target(target).maker))


def open_to_prove(
    target: str, path: Path, compute: str, *, logits_shape: tuple[int, ...] | None = None
) -> Backend:
    """Open a target's artifact on what decides about its accuracy here; see `Maker`."""
    return load_maker(target).open_to_prove(path, compute, logits_shape=logits_shape)
