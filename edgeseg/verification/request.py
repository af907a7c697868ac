"""What is asked of `edgeseg verify`, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgeseg.accuracy.limits import LIMITS, Limits, Need, name_option
from edgeseg.data_rules import NO_RULES, Rules
from edgeseg.errors import SpecError
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.runtime.backends.placing import AUTO
from edgeseg.spec import MIN_SIDE_PX
from edgeseg.verification.protocols import PROTOCOLS

__all__ = ["MOST_THREADS", "VerifyRequest", "check_threads"]

MOST_THREADS: Final = 256  # each takes memory, and an engine that starts them hears no signal


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """A bundle or checkpoint (`source`), what to measure it on, and what to compare it with.

    Each limit that was given in `limits` must be decided; the others have their defaults. Without a
    `reference`, a bundle is compared with its own float variant. A checkpoint is also measured at
    `short_sides`, in pixels. `corruptions` are names of `edgeseg.corruptions`, `dask` is a
    scheduler's address. `threads` is the number of the engine's threads; None takes all cores.
    `device` restricts a bundle to devices of its engine; `auto` is what the bundle ships.
    Of a `video` only is measured what reuse does there, and nothing else is then asked for.
    `rules` go before those of the data set's dataset.json. `report` is a folder, and `notes` go
    into the report. `overrides` replace what a checkpoint says of its input.

    Raises:
        SpecError: the parts do not fit together, or one is out of range.
    """

    source: str
    data: str | None = None
    split: str | None = None
    rules: Rules = NO_RULES
    reference: str | None = None
    baseline: Path | None = None
    protocol: str = "ss"
    limits: Limits = field(default_factory=Limits)
    short_sides: tuple[int, ...] = ()
    corruptions: tuple[str, ...] = ()
    dask: str | None = None
    threads: int | None = None
    device: str = AUTO
    overrides: Overrides = NO_OVERRIDES
    strict: bool = False
    report: Path | None = None
    notes: tuple[str, ...] = ()
    video: Path | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise SpecError(f"protocol {self.protocol!r} is not one of {', '.join(PROTOCOLS)}")
        small = [side for side in self.short_sides if side < MIN_SIDE_PX]
        if small:
            raise SpecError(f"--short-sides are {MIN_SIDE_PX} pixels or more; got {small[0]}")
        if self.dask is not None and self.short_sides:
            raise SpecError("--short-sides are measured in this process; leave --dask out")
        check_threads(self.threads)
        if self.video is not None and (others := list(self._list_options_beside_video())):
            raise SpecError(f"--video is measured alone; leave {others[0]} out")
        idle = sorted(self.list_undecided(self.limits.given))
        if self.data is None:
            needy = [*self._list_options_on_data(), *map(name_option, idle)]
            if needy:
                raise SpecError(f"{needy[0]} needs images with ground truth; add --data DATASET")
        elif idle:
            what = (
                "corrupted images; add --corruptions all"
                if "corruptions" in LIMITS[idle[0]].needs
                else "an earlier report; add --baseline REPORT.json"
            )
            raise SpecError(f"{name_option(idle[0])} needs {what}")

    def list_undecided(self, limits: frozenset[str]) -> frozenset[str]:
        """List those of `limits` for which no data set, baseline or corruptions are given."""
        absent: dict[Need, bool] = {
            "data": self.data is None,
            "baseline": self.baseline is None,
            "corruptions": not self.corruptions,
        }
        lacking = {need for need, is_absent in absent.items() if is_absent}
        return frozenset(name for name in limits if LIMITS[name].needs & lacking)

    def _list_options_on_data(self) -> Iterator[str]:
        """List the given options that need a data set."""
        needy = {
            "--reference": self.reference is not None,
            "--split": self.split is not None,
            **dict.fromkeys(map(name_option, self.rules.given), True),
            "--baseline": self.baseline is not None,
            "--short-sides": bool(self.short_sides),
            "--strict": self.strict,
            "--corruptions": bool(self.corruptions),
            "--dask": self.dask is not None,
            f"--protocol {self.protocol}": self.protocol != "ss",
        }
        return (name for name, is_given in needy.items() if is_given)

    def _list_options_beside_video(self) -> Iterator[str]:
        """List the given options that have no meaning for a video."""
        if self.data is not None:
            yield "--data"
        yield from self._list_options_on_data()
        yield from map(name_option, sorted(self.limits.given))
        yield from self.overrides.options
        if self.report is not None:
            yield "--report"


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that no engine should start.

    Raises:
        SpecError: `threads` is out of range.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise SpecError(f"--threads is 1 to {MOST_THREADS}; got {threads}")
