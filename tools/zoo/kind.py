"""What one row of the zoo is: a kind of checkpoint, and who judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "edgeseg" / "data" / "demo_b0"
SIZE = (192, 256)  # of the network's input, height and width; the photograph has another

Mask = npt.NDArray[np.integer[Any]]
Photo = npt.NDArray[np.uint8]


class NotJudgedError(Exception):
    """The framework that should judge a kind cannot be had."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of checkpoint: `make` writes it into an empty folder and returns what to export.

    `judge` gives the mask of an RGB photograph by the framework that trained the kind. A kind that
    edgeseg refuses has none, and `refusal` is a part of the message. `truth` gives pictures with
    their masks, on which edgeseg's mIoU must be the judge's. `needs` is a package without which the
    row is skipped. `options` are those of `edgeseg export` that this kind needs, by their Python
    names.
    """

    name: str
    make: Callable[[Path], Path]
    judge: Callable[[Photo], Mask] | None = None
    judged_by: str = ""
    refusal: str = ""
    needs: str = ""
    least: float = 99.99  # in % of the pixels
    options: dict[str, Any] = field(default_factory=dict)
    data: Callable[[Path], None] | None = None  # writes a data set, where a kind needs its own
    truth: Callable[[], list[tuple[Photo, Mask]]] | None = None
    prepare: Callable[[Photo], Photo] = lambda photo: photo  # what the kind's camera gives of it


def load_photo() -> Photo:
    """A frame of a real road (docs/images/CREDITS.txt): uint8 RGB (248, 331, 3)."""
    with Image.open(ROOT / "docs" / "images" / "street.jpg") as picture:
        return np.asarray(picture.convert("RGB"))[:, 195:526]
