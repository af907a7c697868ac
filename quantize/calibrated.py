"""Measures ranges and sensitivity of a float graph, when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edgeseg.calibration.observe import Tap, observe, resume_observation
from edgeseg.calibration.ranges import ESTIMATORS, Range, Statistics
from edgeseg.errors import BackendError
from edgeseg.files.whole import write_file
from edgeseg.progress import Progress, begin
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.qdq import QDQ_ROLES, to_qdq
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.taps import estimate_bytes, tap_graph
from edgeseg.quantize.workspace import Workspace
from edgeseg.runtime.backends.backend import Backend, open_artifact
from edgeseg.segformer.groups import Group, find_group
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.pixels import Frame

__all__ = ["Calibrated", "recall_figures"]

# Images on which the sensitivity of each group is measured.
SENSITIVITY_IMAGES: Final = 16


class Calibrated:
    """A float graph and its calibration frames; ranges and sensitivity are measured once.

    `taps` cover every activation that some recipe quantizes, and may cover more values.
    """

    def __init__(
        self,
        model: ModelProto,
        frames: Sequence[Callable[[], Frame]],
        *,
        taps: Sequence[Tap],
        estimator: str,
        meter: Meter,
        workspace: Workspace,
        progress: Progress,
    ) -> None:
        self.model = model
        self.frames = frames
        self._taps = taps
        self._estimator = estimator
        self._meter = meter
        self._workspace = workspace
        self._progress = progress

    @property
    def peaks(self) -> Mapping[str, float]:
        """The largest magnitude of every tapped value."""
        return {name: max(-s.low, s.high) for name, s in self._statistics.items()}

    @cached_property
    def ranges(self) -> Mapping[str, Range]:
        """The range of every activation that a recipe may quantize, by the activation's name."""
        estimate = ESTIMATORS[self._estimator]
        sampled = [tap.name for tap in self._taps if tap.sampled]
        return {name: estimate(self._statistics[name]) for name in sampled}

    @cached_property
    def _statistics(self) -> Mapping[str, Statistics]:
        tapped = tap_graph(self.model, self._taps)
        begun = resume_observation(tapped, self._taps, self._workspace.path("ranges.npz"))
        done = begun.images
        if done < len(self.frames):
            before = f" ({done} of them in an interrupted export)" if done else ""
            self._progress.say(
                f"calibrating on {pluralize(len(self.frames), 'image')}{before}; "
                f"about {estimate_bytes(self.model, self._taps) / 1e6:.0f} MB of memory"
            )
        return observe(tapped, self.frames, begun, progress=self._progress)

    def sensitivity(self) -> Mapping[Group, float]:
        """Measure what each group costs when it alone is INT8, as Q/DQ; see `Quantizer`."""

        def write_one_group(recipe: Recipe, path: Path) -> None:
            made = to_qdq(self.model, recipe, self.ranges)
            write_file(path, made.SerializeToString())

        engine = partial(open_artifact, "onnxruntime")
        return self.sensitivity_of(write_one_group, engine, roles=QDQ_ROLES)

    def sensitivity_of(
        self,
        make: Callable[[Recipe, Path], None],
        engine: Callable[[Path], Backend],
        *,
        roles: frozenset[str],
    ) -> Mapping[Group, float]:
        """Measure the groups of `roles` on graphs that `make` writes and `engine` opens."""
        groups = {find_group(node.name) for node in self.model.graph.node}
        present = sorted(group for group in groups if group is not None and group.role in roles)
        known = recall_figures(self._workspace, "sensitivity")
        path = self._workspace.path("one_group.onnx")
        missing = [group for group in present if group.name not in known]
        if missing:
            self._progress.say(f"measuring the sensitivity of {len(missing)} groups")
        most = min(SENSITIVITY_IMAGES, len(self._meter.images))
        step = begin(self._progress, "measuring sensitivity", len(missing) * most)
        for group in missing:
            alone = Recipe(name=group.name, int8=frozenset({group}))
            make(alone, path)
            try:
                with closing(engine(path)) as backend:
                    found = self._meter.measure(backend, step=step, most=most)
            except BackendError as error:  # no figure was measured, so none is kept
                self._progress.say(
                    f"{group.name} alone in INT8 is taken as the most harmful: {error}"
                )
                continue
            known[group.name] = 100 - found.pixel_agreement
            self._workspace.keep("sensitivity", known)
        return {group: known.get(group.name, 100.0) for group in present}


def recall_figures(workspace: Workspace, name: str) -> dict[str, float]:
    """Read the figures kept under a name; none where the file is missing or damaged."""
    try:
        return msgspec.convert(workspace.recall(name), dict[str, float])
    except msgspec.ValidationError:
        return {}
