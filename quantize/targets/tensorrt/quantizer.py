"""Makes INT8 and FP16 graphs for TensorRT, in the forms that a device may choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.files.whole import write_file
from edgeseg.progress import Progress, track
from edgeseg.quantize.calibrated import Calibrated, recall_figures
from edgeseg.quantize.recipes import FLOAT, Recipe
from edgeseg.quantize.search import Candidate
from edgeseg.quantize.share import int8_share
from edgeseg.quantize.targets.tensorrt.emulation import open_emulation
from edgeseg.quantize.targets.tensorrt.forms import GRAPH_FORMS, PLAIN, GraphForm, write_form
from edgeseg.quantize.targets.tensorrt.graph import (
    CLASS_MAP,
    HALF_LIMIT,
    Scales,
    find_hot_tensors,
    to_typed,
    with_class_map,
)
from edgeseg.quantize.targets.tensorrt.peaks import peaks
from edgeseg.quantize.targets.tensorrt.rules import check_rules
from edgeseg.quantize.workspace import Workspace
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import Group
from edgeseg.spec import Upsampling
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

__all__ = ["TYPED_ROLES", "TypedQuantizer"]

# TensorRT fuses the attention products as they are; quantized they fall apart into kernels.
TYPED_ROLES: Final = frozenset(
    role.value for role in Role if role not in {Role.SCORES, Role.VALUES}
)


class TypedQuantizer:
    """Makes typed graphs from a float one; without `calibrated` there is no INT8.

    `calibrated` taps every float value and gives its largest magnitude; without it, `frames` show
    that. Values near FP16's end are held in FP32. `upsampling` is how graphs that end in class ids
    enlarge the logits.
    """

    computes = ("f16",)

    def __init__(
        self,
        model: ModelProto,
        calibrated: Calibrated | None,
        frames: Sequence[Callable[[], Frame]],
        *,
        upsampling: Upsampling,
        workspace: Workspace,
        progress: Progress,
    ) -> None:
        self._model = model
        self._calibrated = calibrated
        self._frames = frames
        self._upsampling = upsampling
        self._workspace = workspace
        self._progress = progress

    def half(self) -> Candidate:
        """Make the FP16 candidate, with no INT8 in it."""
        path = self._workspace.path("fp16.onnx")
        if not path.exists():
            self.make(FLOAT, path)
        return Candidate(name="fp16", precision="fp16", compute="f16", recipe=FLOAT, path=path)

    def make(self, recipe: Recipe, path: Path) -> None:
        """Write the first form: typed scales, logits.

        Raises:
            ExportError: the graph breaks a rule of TensorRT's.
        """
        _write(self._make_typed(recipe, Scales.TYPED), path)

    def forms(self, candidate: Candidate) -> Iterator[Candidate]:
        """Make the further forms of a candidate: other outputs, other scales, other graphs.

        Of a file that was trained only the output has another form: the others are made from the
        float graph.
        """
        if candidate.recovery is not None:
            yield self._write_map_of(candidate)
            return
        yield self._write_further(candidate, map_too=True)
        if candidate.recipe.int8:
            for map_too in (False, True):
                yield self._write_further(candidate, scales=Scales.CASTS, map_too=map_too)
        for form in GRAPH_FORMS:
            if form != PLAIN:
                yield self._write_in_form(candidate, form)

    def _write_further(
        self, candidate: Candidate, *, scales: Scales = Scales.TYPED, map_too: bool
    ) -> Candidate:
        """Write a candidate with another output, or with other types of scales."""
        casts = scales is Scales.CASTS
        end = "_map" if map_too else ""
        ending = ("_casts" if casts else "") + end
        path = self._workspace.path(f"{candidate.path.stem}{ending}.onnx")
        if not path.exists():
            typed = self._make_typed(candidate.recipe, scales)
            _write(with_class_map(typed, self._upsampling) if map_too else typed, path)
        return replace(
            candidate,
            name=candidate.name + ending.replace("_", "-"),
            path=path,
            output=CLASS_MAP if map_too else candidate.output,
            instead_of=candidate.name + end.replace("_", "-") if casts else None,
        )

    def _write_map_of(self, candidate: Candidate) -> Candidate:
        """Write a candidate that was trained with class ids as its output."""
        import onnx

        path = self._workspace.path(f"{candidate.path.stem}_map.onnx")
        if not path.exists():
            _write(with_class_map(onnx.load(candidate.path), self._upsampling), path)
        return replace(candidate, name=f"{candidate.name}-map", path=path, output=CLASS_MAP)

    def _write_in_form(self, candidate: Candidate, form: GraphForm) -> Candidate:
        """Write a candidate's graph in another form, which computes the same."""
        path = self._workspace.path("_".join((candidate.path.stem, *form.words)) + ".onnx")
        if not path.exists():
            _write(self._make_typed(candidate.recipe, Scales.TYPED, form), path)
        return replace(
            candidate,
            name="-".join((candidate.name, *form.words)),
            path=path,
            written=form.words,
            same_as=candidate.name,
        )

    def int8_share(self, path: Path) -> float:
        """See `Quantizer`."""
        return int8_share(path)

    def sensitivity(self) -> Mapping[Group, float]:
        """See `Quantizer`; measured in the emulation of FP16."""
        assert self._calibrated is not None, "a recipe was tried, so there were ranges"

        def write_one_group(recipe: Recipe, path: Path) -> None:
            write_file(path, self._make_typed(recipe, Scales.TYPED).SerializeToString())

        return self._calibrated.sensitivity_of(write_one_group, open_emulation, roles=TYPED_ROLES)

    @cached_property
    def hot(self) -> frozenset[str]:
        """The values that FP16 might not hold."""
        found = recall_figures(self._workspace, "peaks")
        if not found:
            found = self._find_peaks()
            self._workspace.keep("peaks", found)
        hot = find_hot_tensors(found)
        worst = max(found, key=lambda name: found[name])
        kept = f"{pluralize(len(hot), 'value')} may be too large for FP16, and stay in FP32"
        self._progress.say(
            f"{kept if hot else 'FP16 holds every value'}: the largest is {found[worst]:.0f} (in "
            f"{worst}), the limit is {HALF_LIMIT:.0f}"
        )
        return hot

    def _find_peaks(self) -> dict[str, float]:
        if self._calibrated is not None:
            return dict(self._calibrated.peaks)
        task = "looking for values beyond FP16"
        self._progress.say(f"{task} on {pluralize(len(self._frames), 'image')}")
        return peaks(self._model, track(self._progress, task, self._frames))

    def _make_typed(self, recipe: Recipe, scales: Scales, form: GraphForm = PLAIN) -> ModelProto:
        largest: Mapping[str, float] = {}
        if recipe.int8:
            assert self._calibrated is not None, "recipes are tried only where there are ranges"
            largest = {n: max(-r.low, r.high) for n, r in self._calibrated.ranges.items()}
        formed = write_form(self._model, form)
        return to_typed(
            formed.model,
            recipe,
            largest=formed.add_largest(largest),
            hot=formed.add_hot(self.hot),
            scales=scales,
        )


def _write(model: ModelProto, path: Path) -> None:
    check_rules(model, origin=path.name)
    write_file(path, model.SerializeToString())
