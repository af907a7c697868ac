"""Words for what reuse saves and costs on a video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.text import pluralize

if TYPE_CHECKING:
    from edgeseg.verification.reuse import ReuseResult

__all__ = ["describe_reuse"]


def describe_reuse(found: ReuseResult) -> list[str]:
    """Write the table of a video's factors, and which factor fits."""
    from edgeseg.verification.reuse import TARGET, WORTH

    head = f"{'--reuse':<12} {'frames reused':>13} {'pixels agree':>12} {'1 % of frames':>13} "
    return [
        f"{found.bundle} ({found.precision}), {found.video}: {pluralize(found.frames, 'frame')}",
        f"identical to the frame before: {found.identical:.1f} % of the frames",
        f"computed each, two frames in a row agree on {found.steadiness:.2f} % of the pixels",
        f"{head} {'worst frame':>11}",
        *(
            f"{f'gated={one.factor:g}':<12} {one.reused:>11.1f} % {one.agreement:>10.2f} % "
            f"{one.agreement_p1:>11.2f} %  {one.agreement_lowest:>9.2f} %"
            for one in found.factors
        ),
        (
            f"no gate that keeps {TARGET} % of the pixels saves {WORTH:g} % of the frames: "
            f"run without a gate"
            if found.fits is None
            else f"at least {TARGET} % of the pixels agree up to gated={found.fits:g}"
        ),
    ]
