"""Finds a checkpoint's weights, or explains what was found in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from edgeseg.demo import DEMO
from edgeseg.demo.assets import find_demo_checkpoint
from edgeseg.errors import CheckpointError, MissingPackageError
from edgeseg.export.weights.adapters import ADAPTER_CONFIG, explain_adapter
from edgeseg.export.weights.extras import list_names
from edgeseg.export.weights.shards import list_shards
from edgeseg.progress import Say
from edgeseg.text import explain

__all__ = ["PICKLES", "explain_foreign", "find_weights"]

PICKLES: Final = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar")

_WEIGHT_NAMES: Final = ("model.safetensors", "pytorch_model.bin")
_INDEX_NAMES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_ADAPTER_NAMES: Final = ("adapter_model.safetensors", "adapter_model.bin")
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
_SUFFIXES: Final = (".safetensors", *PICKLES)

# Other kinds of model files that users have, by ending.
_TENSORFLOW: Final = (
    "holds TensorFlow weights; with transformers 4 and TensorFlow convert them: "
    "SegformerForSemanticSegmentation.from_pretrained(FOLDER, from_tf=True).save_pretrained(NEW)"
)
_FOREIGN: Final[Mapping[str, str]] = {
    ".h5": _TENSORFLOW,
    ".keras": "holds TensorFlow weights in Keras' own form; load them there and save PyTorch's",
    ".pb": "holds a TensorFlow graph; edgeseg needs the PyTorch weights",
    ".tflite": "is a TensorFlow Lite graph; edgeseg needs the weights that it was made from",
    ".msgpack": "holds Flax weights; edgeseg needs PyTorch's",
    ".onnx": "is an ONNX graph; edgeseg needs the weights that it was made from",
    ".xml": "is a graph of OpenVINO; edgeseg needs the weights that it was made from",
    **dict.fromkeys(
        (".engine", ".plan", ".trt"),
        "is a TensorRT engine; edgeseg needs the weights that it was made from",
    ),
    ".index": "belongs to a TensorFlow checkpoint; edgeseg needs the PyTorch weights",
    ".meta": "is a TensorFlow graph; edgeseg needs the PyTorch weights",
    ".pdparams": "holds PaddlePaddle weights; edgeseg reads PyTorch's",
}


def find_weights(source: str, *, say: Say) -> tuple[Path, Path]:
    """Find the weights file, and the folder that may hold its JSON files.

    `say` receives a line before the network is used, and the file's name if it is not a usual one.

    Raises:
        CheckpointError: there is no weights file, it cannot be read, or edgeseg does not read its
            kind.
    """
    try:
        return _find_weights(source, say=say)
    except OSError as error:  # a name that is too long, or a folder that is closed
        raise CheckpointError(f"{source} cannot be read: {explain(error)}") from None


def _find_weights(source: str, *, say: Say) -> tuple[Path, Path]:
    path = find_demo_checkpoint() if source == DEMO else Path(source)
    if path.is_file():
        return path, path.parent
    if not path.exists():
        _check_hub_id(source)
        say(f"no file or folder {source} here: asking the Hugging Face hub for it")
        path = _fetch(source)
    for name in (*_ADAPTER_NAMES, *_WEIGHT_NAMES, *_INDEX_NAMES):
        if (path / name).is_file():
            return path / name, path
    return _find_pickle(path, source, say=say), path


def _find_pickle(path: Path, source: str, *, say: Say) -> Path:
    """Find the only file with weights of a folder, whatever it is called."""
    refusal = _explain_folder(path)
    if refusal is not None:
        raise CheckpointError(f"folder {source} {refusal}")
    pickles = sorted(p for p in path.iterdir() if p.name.endswith(_SUFFIXES))
    if len(pickles) == 1:
        say(f"weights taken from {pickles[0].name}, the only such file in the folder")
        return pickles[0]
    wanted = f"folder {source} should hold {' or '.join(_WEIGHT_NAMES)}"
    if not pickles:
        inner = _list_inner(path)
        if inner:
            raise CheckpointError(
                f"folder {source} holds no weights itself; name one of its folders that do: "
                f"{list_names(str(path / name) for name in inner)}"
            )
        raise CheckpointError(f"{wanted}; it holds no weights: check the path")
    raise CheckpointError(
        f"{wanted}; it holds several files of weights: name one of "
        f"{', '.join(p.name for p in pickles[:5])}"
    )


def explain_foreign(path: Path) -> str:
    """Explain why a file with this ending is not read, and what to do."""
    foreign = _FOREIGN.get(path.suffix.lower())
    if foreign is not None:
        return f"{path} {foreign}"
    return f"{path} is of no known kind; edgeseg reads {', '.join(_SUFFIXES)}"


def _list_inner(folder: Path) -> list[str]:
    """List the folders inside that hold weights, as a trainer's checkpoint-500; last one first."""
    inner = {path.parent.name for path in folder.glob("*/*") if path.name.endswith(_SUFFIXES)}
    return sorted(inner, key=_split_numbers, reverse=True)


def _split_numbers(name: str) -> list[tuple[int, str]]:
    """Split a name so that it is sorted by its numbers: checkpoint-500 before checkpoint-1000."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]


def _explain_folder(folder: Path) -> str | None:
    """Explain why a folder without the usual files is not a checkpoint; None where unknown."""
    if (folder / ADAPTER_CONFIG).is_file():
        return explain_adapter(folder)
    names = sorted(path for path in folder.iterdir() if path.is_file())
    if any(path.name.endswith(_SUFFIXES) for path in names):
        return None
    foreign = next((path for path in names if path.suffix.lower() in _FOREIGN), None)
    return None if foreign is None else f"{_FOREIGN[foreign.suffix.lower()]} ({foreign.name})"


def _check_hub_id(source: str) -> None:
    """Refuse a source that does not exist and looks like a path rather than a hub id.

    Raises:
        CheckpointError: the source is not a hub id.
    """
    missing = f"no checkpoint at {source}"
    if not _HUB_ID.fullmatch(source):
        raise CheckpointError(f"{missing}; give a folder, a file, a hub id (org/name), or `demo`")
    path = Path(source)
    if path.suffix.lower() in {*_SUFFIXES, *_FOREIGN}:
        raise CheckpointError(f"{missing}: there is no such file; check the path")
    if path.parent.is_dir():
        there = sorted(p.name for p in path.parent.iterdir() if not p.name.startswith("."))
        near = get_close_matches(path.name, there, n=1)
        if near:
            raise CheckpointError(f"{missing}; did you mean {path.with_name(near[0])}?")
        raise CheckpointError(
            f"{missing}: folder {path.parent} has no {path.name}; it has "
            f"{', '.join(there[:5]) or 'nothing'}{', ...' if len(there) > 5 else ''}"
        )


def _fetch(hub_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingPackageError(
            "huggingface_hub",
            purpose=f"fetching {hub_id}",
            command="pip install 'edgeseg[export]' -c constraints.txt",
        ) from None
    wanted = [*_WEIGHT_NAMES, *_INDEX_NAMES, *_ADAPTER_NAMES, "*config.json", "README.md"]
    wanted.append("albumentations_config_eval.json")  # beside segmentation_models_pytorch's
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=wanted))
        parts = _list_parts(folder)
        if parts:
            folder = Path(snapshot_download(hub_id, allow_patterns=[*wanted, *parts]))
    except CheckpointError:  # an index that names no parts
        raise
    except Exception as error:  # the hub's client raises its own errors and its HTTP library's
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"no file or folder {hub_id}, and it could not be fetched from the Hugging Face hub "
            f"({reason[0] if reason else type(error).__name__}); check the name and the "
            f"connection, or give a local path"
        ) from None
    return folder


def _list_parts(folder: Path) -> list[str]:
    """List the files that an index names, where there are no weights in one file."""
    if any((folder / name).is_file() for name in _WEIGHT_NAMES):
        return []
    indexes = (folder / name for name in _INDEX_NAMES)
    return next((list(list_shards(index)) for index in indexes if index.is_file()), [])
