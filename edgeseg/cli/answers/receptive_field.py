"""`edgeseg inspect --receptive-field`: which pixels a checkpoint's stages and head depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.cli.answers import Json
from edgeseg.data_rules import NO_RULES, Rules
from edgeseg.progress import SILENT, Progress
from edgeseg.segformer.form import FORMS
from edgeseg.segformer.receptive_field import PARTS, SHARES, ReceptiveField
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from edgeseg.datasets import Dataset, Item
    from edgeseg.export.checkpoint import Checkpoint
    from edgeseg.pixels import Frame
    from edgeseg.spec import InputSpec

__all__ = ["IMAGES", "FieldPicture", "answer_fields", "check_picture"]

# At least so many images, or all if there are fewer; the mean of more looks alike.
IMAGES: Final = 20

_EVEN: Final = "(an even spread)"

Fields = Mapping[str, Mapping[str, ReceptiveField]]
"""The fields by form and part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldPicture:
    """The SVG file to write, and the images that the fields are measured on."""

    path: Path
    data: str
    split: str | None = None
    rules: Rules = NO_RULES


def check_picture(path: Path) -> None:
    """Check that a picture can be written to `path`, before anything is measured.

    Raises:
        ReportError: the folder is not there, or the file is not a picture of this command.
    """
    from edgeseg.reports.draw.receptive_fields import MARK
    from edgeseg.reports.own_pages import check_own_page

    check_own_page(path, mark=MARK, what="picture of edgeseg inspect")


def answer_fields(
    checkpoint: Checkpoint, picture: FieldPicture, progress: Progress = SILENT
) -> tuple[list[str], Json]:
    """Measure the receptive fields in each named form, and draw them into a file.

    Returns the sides of their squares, in lines and as a JSON object.

    Raises:
        DatasetError: the data set cannot be opened, or has images of other channels.
        SourceError: an image cannot be read.
        CheckpointError: the weights show no receptive field.
        ReportError: the file cannot be written.
    """
    from edgeseg.datasets import open_dataset
    from edgeseg.export.segformer.receptive_field import measure_receptive_fields
    from edgeseg.reports.draw.receptive_fields import draw_receptive_fields
    from edgeseg.reports.own_pages import write_own_page

    whole = open_dataset(picture.data, split=picture.split, rules=picture.rules)
    for note in whole.notes:
        progress.say(note)
    spec = checkpoint.input
    chosen = whole.read_as(spec.channels).take_evenly(IMAGES)
    frames = [partial(_read, item, spec) for item in chosen.items]
    fields = {
        form.name: measure_receptive_fields(checkpoint.model, spec, form, frames, progress=progress)
        for form in FORMS.values()
    }
    what = (
        f"{len(chosen)} of {pluralize(len(whole), 'image')} ({_name_data(chosen)}) at "
        f"{spec.height}x{spec.width} (height x width)"
    )
    title = f"Effective receptive field of {checkpoint.spec.title}: {what}"
    write_own_page(picture.path, draw_receptive_fields(fields, title=title))
    even = _spread_evenly(fields)
    table = _tabulate({**fields, _EVEN: even})
    lines = [f"receptive field of {what}", *table, f"picture written: {picture.path}"]
    return lines, {
        "data": chosen.title,
        "split": chosen.split,
        "images": len(chosen),
        "forms": {form: _to_json(found) for form, found in fields.items()},
        "even": _to_json(even),
    }


def _read(item: Item, spec: InputSpec) -> Frame:
    from edgeseg.pixels import to_input

    return to_input(item.image(), spec)


def _name_data(dataset: Dataset) -> str:
    return " ".join(filter(None, (dataset.title, dataset.split)))


def _spread_evenly(fields: Fields) -> dict[str, ReceptiveField]:
    """Spread each part's field evenly over the input: what the sides can be compared with."""
    some = next(iter(fields.values()))
    return {part: replace(some[part], mass=np.ones_like(some[part].mass)) for part in PARTS}


def _tabulate(fields: Fields) -> list[str]:
    """Write a table: the sides of each field's squares, in pixels of the input."""
    from edgeseg.reports.draw.receptive_fields import title_part

    shares = " / ".join(f"{100 * share:g} %" for share in SHARES)
    wide = max(map(len, fields))
    return [
        f"sides in pixels of the centered squares that hold {shares} of the gradient:",
        f"{'form':<{wide}}" + "".join(f"  {title_part(part):>9}" for part in PARTS),
        *(
            f"{form:<{wide}}" + "".join(f"  {_join_sides(found[part]):>9}" for part in PARTS)
            for form, found in fields.items()
        ),
    ]


def _join_sides(field: ReceptiveField) -> str:
    return " / ".join(str(field.find_side(share)) for share in SHARES)


def _to_json(found: Mapping[str, ReceptiveField]) -> Json:
    return {
        part: {f"side_{100 * share:g}_px": found[part].find_side(share) for share in SHARES}
        for part in PARTS
    }
