"""Writes each mask as a PNG file of ids or of colors, and a legend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from edgeseg.errors import SpecError
from edgeseg.files.mounts import is_mount_point
from edgeseg.files.signature import SIGNATURE
from edgeseg.images import write_mask, write_painted_mask
from edgeseg.images.georeference import Place, write_geotiff
from edgeseg.labels import Rgb, to_hex
from edgeseg.pixels import ClassMap, rename_ids
from edgeseg.progress import Say
from edgeseg.runtime.legend import BACKGROUND, IGNORE, Legend
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.folder import FolderSink
from edgeseg.runtime.sinks.label_ids import find_label_ids
from edgeseg.runtime.sinks.places import Places

__all__ = ["LEGEND", "MaskFiles", "open_mask_sink", "plan_masks"]

LEGEND: Final = "legend.json"
_BYTE: Final = 255
_HIGHEST_ID: Final = 65535


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """The folder for masks, and what they hold: class ids, if nothing else is asked for.

    `label_ids` names other ids, as `edgeseg run --label-ids` takes them. `painted` masks are RGB,
    in the classes' colors. With `scores`, a folder beside this one has a picture for each mask: how
    sure the network is of each pixel.

    Raises:
        SpecError: masks of ids are asked for, and painted ones.
    """

    folder: Path
    label_ids: str | None = field(default=None, kw_only=True)
    painted: bool = field(default=False, kw_only=True)
    scores: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.painted and self.label_ids is not None:
            raise SpecError(
                "--label-ids writes ids and --masks-palette colors; leave one of them out"
            )

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder of masks, and that of scores where they are wanted.

        Scores have a folder of their own: who reads masks often takes every PNG of a folder. For a
        mount point, that folder lies in it, on the same disk.
        """
        folder = Path(self.folder)  # Python's users write a text
        own = folder.resolve()
        place = own if is_mount_point(own) else own.parent
        return (folder, place / f"{own.name}-scores") if self.scores else (folder,)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskForm:
    """How masks are written.

    `legend` is the text that explains them. `table[i]` is what is written for the id i; without a
    table this is i itself. `palette` has the colors of what is written. `told` says which ids these
    are, where they are not the class ids.
    """

    legend: str
    palette: tuple[Rgb, ...]
    table: ClassMap | None = None
    painted: bool = False
    told: str | None = None

    def save(self, mask: ClassMap, path: Path) -> None:
        """Write a mask as a PNG.

        Raises:
            OSError: the file cannot be written.
        """
        write = write_painted_mask if self.painted else write_mask
        write(self._rename(mask), path, palette=self.palette, software=SIGNATURE)

    def save_at(self, place: Place, mask: ClassMap, path: Path) -> None:
        """Write a mask as a GeoTIFF that lies at a place on the map.

        Raises:
            OSError: the file cannot be written.
        """
        write_geotiff(
            self._rename(mask),
            path,
            place,
            palette=self.palette,
            painted=self.painted,
            software=SIGNATURE,
        )

    def _rename(self, mask: ClassMap) -> ClassMap:
        return mask if self.table is None else rename_ids(mask, self.table)


def plan_masks(files: MaskFiles, legend: Legend) -> MaskForm:
    """Plan how masks are written.

    Raises:
        SpecError: a class has no id, or two classes that are to be painted have the same color.
    """
    if files.painted:
        _check_colors(legend)
    if files.label_ids is None:
        text = _write_legend(files, legend, legend.entries, legend.ignore)
        return MaskForm(legend=text, palette=legend.palette, painted=files.painted)
    found = find_label_ids(files.label_ids, legend.labels, free=(BACKGROUND,))
    entries = [(found.ids[id_], name, color) for id_, name, color in legend.entries]
    ignore = None if legend.ignore is None else found.find(IGNORE)
    colors = {own: color for own, _, color in entries}
    if ignore is not None:
        colors.setdefault(ignore, legend.palette[-1])
    return MaskForm(
        legend=_write_legend(files, legend, entries, ignore),
        palette=tuple(colors.get(own, (0, 0, 0)) for own in range(_BYTE + 1)),
        table=_make_table(found.ids, found.find(IGNORE)),
        told=found.told,
    )


def open_mask_sink(files: MaskFiles, legend: Legend, say: Say) -> FolderSink:
    """Open a sink that writes each mask into a folder: a GeoTIFF if the image is one, else a PNG.

    `say` hears which ids the masks hold, of an earlier run's masks, and where rasterio is missing.

    Raises:
        SpecError: see `plan_masks`.
    """
    form, places = plan_masks(files, legend), Places(say)
    if form.told is not None:
        say(form.told)

    def write(result: Result, path: Path) -> None:
        place = places.find(result.captured.path)
        if place is None:
            form.save(result.mask, path)
        else:
            form.save_at(place, result.mask, path.with_suffix(".tif"))

    return FolderSink(files.folders[0], "mask", write, beside={LEGEND: form.legend}, say=say)


def _check_colors(legend: Legend) -> None:
    """Refuse classes of one color, which nobody could tell apart.

    Raises:
        SpecError: there are such classes.
    """
    first: dict[Rgb, str] = {}
    named = [(name, color) for _, name, color in legend.entries]
    if legend.ignore is not None:
        named.append((IGNORE, legend.palette[-1]))
    for name, color in named:
        if first.setdefault(color, name) != name:
            raise SpecError(
                f"--masks-palette: {first[color]!r} and {name!r} have the same color, "
                f"{to_hex(color)}; write class ids, or export with --labels that give each class "
                f"its own"
            )


def _make_table(ids: Sequence[int], ignore: int) -> ClassMap:
    """Make the table from class ids to `ids`; two bytes each where one byte does not hold them.

    What is no class, as pixels that are not sure enough, becomes `ignore`.
    """
    dtype = np.uint8 if max(*ids, ignore) <= _BYTE else np.uint16
    table: ClassMap = np.full(_HIGHEST_ID + 1, ignore, dtype)
    table[: len(ids)] = ids
    return table


def _write_legend(
    files: MaskFiles, legend: Legend, entries: Sequence[tuple[int, str, Rgb]], ignore: int | None
) -> str:
    """Write each id's meaning and color, as JSON with one class on a line."""
    lines = [
        json.dumps({"id": own, "name": name, "color": to_hex(color)})
        for own, name, color in entries
    ]
    about: dict[str, object] = {"software": SIGNATURE}
    if files.label_ids is not None:
        about["label_ids"] = files.label_ids
    if files.painted:
        about["painted"] = True
    if ignore is not None:
        about["ignore"] = {"id": ignore, "color": to_hex(legend.palette[-1])}
    head = json.dumps(about).removesuffix("}")
    return f'{head}, "classes": [\n' + ",\n".join(lines) + "\n]}\n"
