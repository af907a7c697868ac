"""Options of commands that may train what INT8 costs away."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from edgeseg.cli.grouped import group_options
from edgeseg.cli.options import report_wrong_usage
from edgeseg.errors import SpecError
from edgeseg.recovery.options import FEWEST, WORTH, WORTH_IN_CONTRAST, Recover
from edgeseg.spec import check_above_zero

__all__ = ["add_recover_options"]

_RecoverOption = Annotated[
    float | None,
    typer.Option(
        "--recover",
        metavar="MINUTES",
        help="Train INT8 variants on the calibration images, against FP32, for so many minutes "
        f"beside the budget: those that miss a gate, or that lose over {WORTH} points on clean "
        f"images or over {WORTH_IN_CONTRAST} more in low contrast. No labels are needed.",
        show_default="off",
    ),
]
_ImagesOption = Annotated[
    int | None,
    typer.Option(
        "--recover-images",
        help=f"Number of calibration images that --recover trains on, {FEWEST} or more.",
        show_default="all of them",
    ),
]
_LabelsOption = Annotated[
    bool | None,
    typer.Option(
        "--recover-labels",
        help="Let the ground truth of the calibration images take part in --recover. They need "
        "to be a data set.",
        show_default="FP32 alone teaches",
    ),
]
_OPTIONS: Final = {
    "recover": _RecoverOption,
    "recover_images": _ImagesOption,
    "recover_labels": _LabelsOption,
}


def _collect(given: dict[str, Any]) -> Recover | None:
    """Collect the options; None where nothing is to be trained."""
    minutes = given["recover"]
    with report_wrong_usage():
        if minutes is None:
            for name in ("recover_images", "recover_labels"):
                if given[name] is not None:
                    option = f"--{name.replace('_', '-')}"
                    raise SpecError(f"{option} needs --recover; add --recover MINUTES")
            return None
        check_above_zero("--recover (in minutes)", minutes)
        return Recover(
            seconds=60 * minutes,
            images=given["recover_images"],
            labels=bool(given["recover_labels"]),
        )


add_recover_options: Final = group_options("recover", _OPTIONS, _collect)
