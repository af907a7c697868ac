"""A trained checkpoint, from whatever form it is kept in, as a model and what belongs to it.

a folder                   Hugging Face's: weights, config.json, preprocessor_config.json
a .safetensors file        with those two JSON files beside it, or none
a .pth, .pt or .bin file   a pickle; read without running it
a hub id (org/name)        fetched only when it is named and no such path exists
demo                       the one that comes with edgeseg
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.demo import DEMO
from edgeseg.demo.assets import demo_checkpoint
from edgeseg.errors import CheckpointError, MissingPackageError
from edgeseg.export.layouts import MMSEG, NVLABS, Layout, find_layout, infer_spec, map_weights
from edgeseg.export.preprocessing import default_input, input_from_config, reduces_labels
from edgeseg.export.unpickle import read_pickle
from edgeseg.extras import require
from edgeseg.files import sha256_of
from edgeseg.labels import Labels, labels_for
from edgeseg.spec import InputSpec, ModelSpec
from edgeseg.text import because

if TYPE_CHECKING:
    from torch import Tensor

    from edgeseg.export.segformer import SegFormer

__all__ = ["UNKNOWN_LICENSE", "Checkpoint", "read_checkpoint"]

UNKNOWN_LICENSE: Final = "unknown"

_WEIGHT_NAMES: Final = ("model.safetensors", "pytorch_model.bin")
_PICKLES: Final = (".pth", ".pt", ".bin")
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model with its trained weights, in evaluation mode, and how it wants to be used.

    `reduce_labels` says that it was trained on masks whose 0 means "no class" and whose other ids
    are one too high. It is about ground truth only: no pixel of a frame changes by it.
    """

    model: SegFormer
    input: InputSpec
    labels: Labels
    labels_source: str
    source: str
    layout: str
    sha256: str
    license: str
    reduce_labels: bool = False

    @property
    def spec(self) -> ModelSpec:
        """The model's shapes."""
        return self.model.spec


def read_checkpoint(
    source: str, *, size: tuple[int, int] | None = None, labels: Labels | None = None
) -> Checkpoint:
    """Read a checkpoint; `size` (height, width) and `labels` override what it says itself.

    `source` is a file, a folder, a hub id, or `demo` for the one that comes with edgeseg.

    Raises:
        CheckpointError: not there, damaged, not a SegFormer, or `labels` are of another length.
        SpecError: a size or statistics that no SegFormer can have.
        MissingPackageError: this is a base install, which runs bundles only.
    """
    _require_packages()
    from edgeseg.export.segformer import SegFormer

    weights, folder = _find(source)
    state, meta = _split(_read_weights(weights), origin=str(weights))
    layout = find_layout(state, origin=str(weights))
    spec = infer_spec(state, layout, origin=str(weights))
    model = SegFormer(spec)
    model.load_state_dict(map_weights(state, layout, model, origin=str(weights)), strict=False)
    config = _read_json(folder / "config.json")
    chosen, labels_source = (
        (labels, "--labels") if labels else labels_for(_class_names(config, meta), spec.classes)
    )
    if len(chosen.classes) != spec.classes:
        raise CheckpointError(
            f"{weights} has {spec.classes} classes, but {labels_source} names {len(chosen.classes)}"
        )
    preprocessing = _input(layout, folder, spec.classes)
    if size is not None:
        preprocessing = replace(preprocessing, height=size[0], width=size[1])
    return Checkpoint(
        model=model.eval().requires_grad_(requires_grad=False),
        input=preprocessing,
        labels=chosen,
        labels_source=labels_source,
        source=_name(source, weights),
        layout=layout.name,
        sha256=sha256_of(weights),
        license=_license(folder),
        reduce_labels=reduces_labels(_read_json(folder / "preprocessor_config.json")),
    )


def _require_packages() -> None:
    """What every checkpoint needs; who lacks one of them is told of the whole extra."""
    if any(
        importlib.util.find_spec(package) is None for package in ("torch", "onnx", "safetensors")
    ):
        require("reading checkpoints", ["export"])


def _find(source: str) -> tuple[Path, Path]:
    """The weights file, and the folder in which its JSON files may lie."""
    path = demo_checkpoint() if source == DEMO else Path(source)
    if path.is_file():
        return path, path.parent
    if not path.exists():
        if not _HUB_ID.fullmatch(source):
            raise CheckpointError(
                f"no checkpoint at {source}; give a folder, a file, a hub id (org/name), or `demo`"
            )
        path = _fetch(source)
    for name in _WEIGHT_NAMES:
        if (path / name).is_file():
            return path / name, path
    pickles = sorted(p for p in path.iterdir() if p.suffix in {".safetensors", *_PICKLES})
    if len(pickles) == 1:
        return pickles[0], path
    found = f"several: {', '.join(p.name for p in pickles[:5])}; name one" if pickles else "none"
    raise CheckpointError(
        f"folder {source} should hold {' or '.join(_WEIGHT_NAMES)}; found {found}"
    )


def _name(source: str, weights: Path) -> str:
    """The hub id, or file and folder; the rest of a path says nothing on another machine."""
    if source == DEMO or not Path(source).exists():
        return source
    return f"{weights.resolve().parent.name}/{weights.name}"


def _fetch(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingPackageError(
            "huggingface_hub",
            purpose=f"fetching {hub_id}",
            command="pip install 'edgeseg[export]' -c constraints.txt",
        ) from None
    try:
        folder = snapshot_download(
            hub_id, allow_patterns=[*_WEIGHT_NAMES, "*config.json", "README.md"]
        )
    except Exception as error:  # the hub's client raises its own kinds and its HTTP library's
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"no file or folder {hub_id}, and it could not be fetched from the Hugging Face hub "
            f"({reason[0] if reason else type(error).__name__}); check the name and the "
            f"connection, or give a local path"
        ) from None
    return Path(folder)


def _read_weights(path: Path) -> object:
    if path.suffix in _PICKLES:
        return read_pickle(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(
            f"{path} is of no known kind; edgeseg reads .safetensors, {', '.join(_PICKLES)}"
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read; is it whole? ({because(error)})") from None


def _split(content: object, *, origin: str) -> tuple[dict[str, Tensor], Mapping[str, object]]:
    """The weights in a file, without wrappers, and the `meta` that some frameworks put beside."""
    from torch import Tensor

    meta: Mapping[str, object] = {}
    if isinstance(content, Mapping):
        beside = content.get("meta")
        meta = beside if isinstance(beside, Mapping) else {}
        for key in ("state_dict", "model"):
            if isinstance(content.get(key), Mapping):
                content = content[key]
                break
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{origin} holds {type(content).__name__}, not a dictionary of weights"
        )
    # DistributedDataParallel puts `module.` before every name.
    state = {
        str(key).removeprefix("module."): value
        for key, value in content.items()
        if isinstance(value, Tensor)
    }
    if not state:
        raise CheckpointError(f"{origin} holds no weights")
    return state, meta


def _input(layout: Layout, folder: Path, classes: int) -> InputSpec:
    if layout in (NVLABS, MMSEG):
        return default_input(classes, keep_aspect=True)
    path = folder / "preprocessor_config.json"
    config = _read_json(path)
    if not config:
        return default_input(classes, keep_aspect=False)
    return input_from_config(config, origin=str(path))


def _class_names(config: Mapping[str, object], meta: Mapping[str, object]) -> list[str] | None:
    """From Hugging Face's id2label, or from mmengine's or mmcv's meta."""
    id2label = config.get("id2label")
    if isinstance(id2label, Mapping):
        # JSON keys are strings and may be sorted as such: 0, 1, 10, 2.
        return [str(id2label[key]) for key in sorted(id2label, key=int)]
    dataset = meta.get("dataset_meta")
    names = dataset.get("classes") if isinstance(dataset, Mapping) else meta.get("CLASSES")
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return list(names)
    return None


def _license(folder: Path) -> str:
    """What the model card's front matter says, as the hub reads it."""
    try:
        card = (folder / "README.md").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return UNKNOWN_LICENSE
    front_matter = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    found = (
        re.search(r"^license:\s*(\S.*)$", front_matter[1], re.MULTILINE) if front_matter else None
    )
    return found[1].strip().strip("'\"") if found else UNKNOWN_LICENSE


def _read_json(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {because(error)}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return content
