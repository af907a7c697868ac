"""Reads the metadata of weights: two JSON files beside them, and what their pickle holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.export import smp
from edgeseg.export.albumentations import find_unread_transform, read_transforms
from edgeseg.export.architecture import (
    Unseen,
    check_config,
    describe_config,
    is_segformer,
    read_unseen,
)
from edgeseg.export.facts import InputFacts
from edgeseg.export.json_files import read_json
from edgeseg.export.preprocessing import describe_config as describe_processor
from edgeseg.export.preprocessing import read_config, reduces_labels
from edgeseg.export.segformer.layouts import SMP, TAO, Layout
from edgeseg.export.segformer.one_logit import name_classes
from edgeseg.export.training import Training, find_unread_training, read_training
from edgeseg.labels import Labels, find_labels, order_names
from edgeseg.overrides import Overrides
from edgeseg.segformer.arch import ModelSpec

__all__ = ["Metadata", "read_metadata"]

_CONFIG: Final = "config.json"
_PREPROCESSOR: Final = "preprocessor_config.json"
_TRANSFORMS: Final = "albumentations_config_eval.json"
_CLASSES: Final = ("id2label", "label2id", "num_labels")  # of config.json
_RGB: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What files say about the weights in `folder`, whose names follow `layout`.

    `config` is the content of config.json, `preprocessor` that of preprocessor_config.json,
    `transforms` what albumentations saved beside weights of segmentation_models_pytorch, and
    `meta` the metadata in the weights' own pickle. Each is empty where there is none. `training` is
    the training configuration in `meta`. `one_logit` says that the weights give one logit for a
    pixel, which a threshold divides into two classes.
    """

    folder: Path
    layout: Layout
    config: Mapping[str, object]
    preprocessor: Mapping[str, object]
    transforms: Mapping[str, object]
    meta: Mapping[str, object]
    training: Training | None
    one_logit: bool

    def read_unseen(self) -> Unseen:
        """Read what the weights do not show: attention heads and strides.

        Raises:
            CheckpointError: a file's value has the wrong form; the message names the field.
        """
        if self._config_counts():
            return read_unseen(self.config, origin=str(self.folder / _CONFIG))
        return Unseen() if self.training is None else self.training.network.read_unseen()

    def apply_config(self, spec: ModelSpec) -> ModelSpec:
        """Check the model, read from the weights, against the files, and take their epsilons.

        Raises:
            CheckpointError: edgeseg does not compute this model; the message names the field.
        """
        logits = 1 if self.one_logit else spec.classes
        if self._config_counts():
            check_config(self.config, spec, logits=logits, origin=str(self.folder / _CONFIG))
        if self._is_from_smp():
            smp.check_config(
                self._smp_config(), spec, logits=logits, origin=str(self.folder / _CONFIG)
            )
        if self.training is None:
            return spec
        return self.training.network.apply_config(spec, logits=logits)

    def threshold(self) -> float | None:
        """Read the threshold of a single logit, a probability; None where no file gives one.

        Raises:
            CheckpointError: the value is no probability; the message names the field.
        """
        return None if self.training is None else self.training.network.threshold()

    def facts(self, channels: int, overrides: Overrides) -> tuple[InputFacts, ...]:
        """List what each file says about the input; the first that gives a fact counts.

        `channels` are those that the network takes. A value that is refused is passed over where
        `overrides` replace it.

        Raises:
            CheckpointError: edgeseg does not have a file's rule; the message names the field.
        """
        path = self.folder / _PREPROCESSOR
        processor = None
        if self.preprocessor:
            processor = read_config(
                self.preprocessor,
                overrides,
                origin=str(path),
                complete=not self._is_pickled_framework(),
            )
        transforms = read_transforms(self.transforms, origin=str(self.folder / _TRANSFORMS))
        trained = None if self.training is None else self.training.facts(channels, overrides)
        return tuple(facts for facts in (processor, transforms, trained) if facts is not None)

    def labels(self, spec: ModelSpec) -> tuple[Labels, str]:
        """Find the classes' names and colors, and say where they come from.

        Raises:
            CheckpointError: id2label does not give one name to each id from 0 up, or one logit has
                more names than two.
        """
        names = self._class_names()
        if self.one_logit:
            labels, source = name_classes(names)
        else:
            labels, source = find_labels(names, spec.classes)
        palette = self._palette()
        if palette is None or len(palette) != len(labels.classes):
            return labels, source
        try:
            return replace(labels, palette=palette), source
        except SpecError:  # the numbers are no colors
            return labels, source

    def reduces_labels(self) -> bool:
        """Tell whether training removed the background from the ground truth."""
        trained = self.training is not None and self.training.reduces_labels()
        return trained or reduces_labels(self.preprocessor)

    def notes(self) -> tuple[str, ...]:
        """List what is assumed about the network and what is ignored, one line each."""
        notes = self._training_notes()
        if self._is_pickled_framework():
            if self._is_from_smp():
                notes += smp.describe(self._smp_config())
                notes += _describe_unread(self.transforms)
            elif self.training is None:
                notes.append(_describe_layout(self.layout))
            if self.config and not (self._config_counts() or self._smp_config()):
                notes.append("config.json beside the weights is of another model, and is ignored")
        elif not self.config:
            notes.append(
                "no config.json beside the weights: SegFormer's usual heads (1, 2, 5, 8), strides "
                "and GELU are assumed, which the weights do not show"
            )
        if self._config_counts():
            notes += describe_config(self.config)
        return (*notes, *describe_processor(self.preprocessor, origin=_PREPROCESSOR))

    def _training_notes(self) -> list[str]:
        if self.training is not None:
            return list(self.training.notes())
        unread = find_unread_training(self.meta)
        if unread is None:
            return []
        return [
            (
                f"the file holds a training configuration, meta[{unread!r}], that edgeseg cannot "
                f"read as plain values; it is ignored"
            )
        ]

    def _is_pickled_framework(self) -> bool:
        return self.layout.framework is not None

    def _config_counts(self) -> bool:
        """Tell whether config.json is Hugging Face's and belongs to the weights."""
        if not self.config or self._is_from_smp():
            return False
        return not self._is_pickled_framework() or is_segformer(self.config)

    def _is_from_smp(self) -> bool:
        return self.layout is SMP

    def _smp_config(self) -> Mapping[str, object]:
        """Take config.json where segmentation_models_pytorch wrote it for these weights."""
        return self.config if self._is_from_smp() and smp.is_smp(self.config) else {}

    def _class_names(self) -> Sequence[str] | None:
        """Find class names in Hugging Face's id2label, or in mmengine's or mmcv's meta."""
        id2label = self.config.get("id2label") if self._config_counts() else None
        if isinstance(id2label, Mapping):
            try:
                return order_names(id2label, origin=f"{self.folder / _CONFIG}: id2label")
            except SpecError as error:
                raise CheckpointError(str(error)) from None
        names = self._find_dataset_value("classes")
        if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
            return tuple(names)
        return None

    def _palette(self) -> tuple[tuple[int, int, int], ...] | None:
        listed = self._find_dataset_value("palette")
        if not isinstance(listed, (list, tuple)):
            return None
        colors = [one for one in listed if isinstance(one, (list, tuple)) and len(one) == _RGB]
        if len(colors) != len(listed) or not all(type(v) is int for one in colors for v in one):
            return None
        return tuple((red, green, blue) for red, green, blue in colors)

    def _find_dataset_value(self, name: str) -> object:
        """Find the data set's `classes` or `palette` in mmengine's or mmcv's meta."""
        dataset = self.meta.get("dataset_meta")
        own = dataset if isinstance(dataset, Mapping) else {}
        trained = {} if self.training is None else self.training.dataset
        return own.get(name) or self.meta.get(name.upper()) or trained.get(name)


def read_metadata(
    folder: Path,
    layout: Layout,
    meta: Mapping[str, object],
    *,
    one_logit: bool = False,
    base: Path | None = None,
    replaces_classes: bool = False,
    origin: str,
) -> Metadata:
    """Read the JSON files of a folder, and the training configuration in `meta`.

    A file that the folder lacks is read from `base`, the folder of the model that an adapter was
    merged into. Its classes are not read if the adapter `replaces_classes`.

    Raises:
        CheckpointError: a file exists but cannot be read.
    """
    config, preprocessor = (read_json(folder / name) for name in (_CONFIG, _PREPROCESSOR))
    if base is not None and not config:
        config = read_json(base / _CONFIG)
        if replaces_classes:
            config = {name: value for name, value in config.items() if name not in _CLASSES}
    if base is not None and not preprocessor:
        preprocessor = read_json(base / _PREPROCESSOR)
    return Metadata(
        folder=folder,
        layout=layout,
        config=config,
        preprocessor=preprocessor,
        transforms=read_json(folder / _TRANSFORMS) if layout is SMP else {},
        meta=meta,
        training=read_training(meta, origin=origin),
        one_logit=one_logit,
    )


def _describe_unread(transforms: Mapping[str, object]) -> tuple[str, ...]:
    name = find_unread_transform(transforms)
    if name is None:
        return ()
    lacks = "which edgeseg does not have, or not with these values"
    return (f"{_TRANSFORMS} has {name}, {lacks}; the file is ignored",)


def _describe_layout(layout: Layout) -> str:
    eps = layout.eps
    read = (
        f"read as the layout of {layout.framework}: LayerNorm eps "
        f"{eps.block:g} ({eps.patch_embed:g} after patches, {eps.reduction:g} after reduction), "
        f"BatchNorm eps {eps.batch:g}, align_corners false"
    )
    if layout is TAO:
        return read
    return (
        f"{read}; other programs use the same names with other values (BatchNorm eps 1e-3, "
        f"align_corners true, gray borders), which the weights do not show, and --check-with has "
        f"none of these programs: put some images and your own program's masks of them into "
        f"images/ and masks/ of a folder; edgeseg verify BUNDLE --data FOLDER then gives an mIoU "
        f"near 100, or the values are others"
    )
