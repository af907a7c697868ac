"""Refuses a path of the wrong kind: a video given as a bundle, a bundle as a checkpoint."""

from __future__ import annotations

import os
import re
import shlex
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Final

import typer

from edgeseg.cli.parameters import Command, Parameter
from edgeseg.text import join_words

__all__ = ["check_path", "find_place", "quote_value"]


class Kind(Enum):
    """What a path seems to be, judged by its name: no file is opened."""

    BUNDLE = "a bundle"
    CHECKPOINT = "a checkpoint"
    ARTIFACT = "an engine's file"
    DATASET = "a data set"
    IMAGES = "a folder of images"
    IMAGE = "an image"
    VIDEO = "a video"
    STREAM = "a stream"
    WEB = "a web address"
    CAMERA = "a camera"


_SOURCES: Final = frozenset(
    {Kind.IMAGES, Kind.IMAGE, Kind.VIDEO, Kind.STREAM, Kind.WEB, Kind.CAMERA}
)
_MODELS: Final = frozenset({Kind.BUNDLE, Kind.CHECKPOINT})
# What each parameter takes. A parameter that is not here takes any path.
_TAKES: Final = MappingProxyType(
    {
        "BUNDLE": frozenset({Kind.BUNDLE}),
        "BUNDLE|CHECKPOINT": _MODELS,
        "WHAT": _MODELS,
        "--weights": frozenset({Kind.CHECKPOINT}),
        "--camera": frozenset({Kind.CAMERA}),
        "--source": _SOURCES,
        "SOURCE": _SOURCES,
        "--data": frozenset({Kind.DATASET, Kind.IMAGES, Kind.WEB}),
        "--calibration": frozenset({Kind.DATASET, Kind.IMAGES, Kind.IMAGE, Kind.VIDEO}),
        "--reference": _MODELS,
        "--video": frozenset({Kind.VIDEO, Kind.IMAGES}),
    }
)
_SUFFIXES: Final = MappingProxyType(
    {
        **dict.fromkeys(("pth", "pt", "bin", "safetensors", "ckpt"), Kind.CHECKPOINT),
        **dict.fromkeys(("onnx", "xml", "engine", "plan", "trt"), Kind.ARTIFACT),
        **dict.fromkeys(("png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"), Kind.IMAGE),
        **dict.fromkeys(
            ("mp4", "avi", "mkv", "mov", "webm", "m4v", "mpg", "mpeg", "ts"), Kind.VIDEO
        ),
    }
)
_STREAM: Final = re.compile(r"(?:rtsps?|rtmps?|udp|tcp|srt)://", re.IGNORECASE)
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_DEVICE: Final = re.compile(r"(?:/dev/video)?\d+")
_SPLITS: Final = ("", "train", "val", "test")


def check_path(parameter: Parameter, text: str, command: Command) -> None:
    """Refuse a path of the wrong kind.

    Raises:
        typer.BadParameter: the path is of another kind; the message says where it belongs.
    """
    from edgeseg.demo import DEMO

    # A camera's number, though a folder may have that name; elsewhere a name like any other.
    number = text.isdecimal() and (
        parameter.name == "--camera" or "--camera" not in command.options
    )
    takes = _TAKES.get(parameter.name)
    if takes is None or number or text == DEMO:
        return
    kinds = _find_kinds(text)
    if not kinds or takes.intersection(kinds):
        return
    kind = kinds[0]
    if kind is Kind.ARTIFACT and Kind.CHECKPOINT in takes and not _serves(Path(text), takes):
        from edgeseg.export.locating import explain_foreign

        raise typer.BadParameter(explain_foreign(Path(text)))
    what = f"{quote_value(text)} is {kind.value}, not {_name_kinds(takes)}"
    raise typer.BadParameter(f"{what}; {_suggest_remedy(text, kind, command)}")


def find_place(text: str, command: Command) -> str | None:
    """Find how to type a path for a command; None if the command takes no such path."""
    kind = next(iter(_find_kinds(text)), None)
    parameters = {parameter.name: parameter for parameter in command.parameters}
    for name, kinds in _TAKES.items():
        if kind in kinds and name in parameters:
            value = quote_value(text)
            return f"{name} {value}" if parameters[name].spellings else value
    return None


def quote_value(text: str) -> str:
    """Quote a path for a shell. An address becomes URL: it may hold a password."""
    return "URL" if "://" in text or "!" in text else shlex.quote(text)


def _suggest_remedy(text: str, kind: Kind, command: Command) -> str:
    place, path = find_place(text, command), Path(text)
    if place == quote_value(text):
        return f"give it without an option: edgeseg {command.name} {place}"
    if place is not None:
        return f"give it as {place}"
    if kind in {Kind.STREAM, Kind.CAMERA} and "--calibration" in command.options:
        return "gather images of it first: edgeseg calibrate SOURCE -o FOLDER"
    if kind is Kind.CHECKPOINT:
        return f"export it first: edgeseg export --weights {quote_value(text)}"
    if kind is Kind.BUNDLE:
        return f"it is exported already; edgeseg inspect {quote_value(text)} shows what it holds"
    if kind is Kind.DATASET:
        images = next(path / split / "images" for split in _SPLITS if _has_images(path / split))
        return f"give its images: {quote_value(str(images))}"
    if kind is Kind.ARTIFACT and Kind.BUNDLE in _find_kinds(str(path.parent)):
        return f"give its bundle: {quote_value(str(path.parent))}"
    return f"edgeseg {command.name} --help says what it takes"


def _serves(artifact: Path, takes: frozenset[Kind]) -> bool:
    """Tell whether the folder of an engine's file is a bundle, and can be given in its place."""
    return Kind.BUNDLE in takes and Kind.BUNDLE in _find_kinds(str(artifact.parent))


def _name_kinds(kinds: frozenset[Kind]) -> str:
    return join_words([kind.value for kind in Kind if kind in kinds], "or")


def _find_kinds(text: str) -> tuple[Kind, ...]:
    """Find what a path can be, likeliest first; empty if its name does not tell."""
    if _STREAM.match(text):
        return (Kind.STREAM,)
    if _WEB.match(text):
        return (Kind.WEB,)
    path = Path(text)
    try:
        if path.is_dir():
            return _find_kinds_of_folder(path)
        if _names_camera(text) and (path.is_char_device() or not path.exists()):
            return (Kind.CAMERA,)
    except OSError:  # too long a name, or a closed folder: whoever opens it says so
        return ()
    return _find_kind_by_suffix(path)


def _find_kinds_of_folder(folder: Path) -> tuple[Kind, ...]:
    """Find what a folder can be. A folder with both weights and images is both."""
    from edgeseg.bundle.store import is_bundle

    paths = list(folder.iterdir())
    named = {kind for path in paths for kind in _find_kind_by_suffix(path)}
    sets = [Kind.DATASET] if any(_has_images(folder / split) for split in _SPLITS) else []
    images = [Kind.IMAGES] if Kind.IMAGE in named else []
    if is_bundle(folder):
        return (Kind.BUNDLE, *sets, *images)
    weights = [Kind.CHECKPOINT] if Kind.CHECKPOINT in named else []
    whole = folder / "config.json" in paths
    return (*weights, *sets, *images) if whole else (*sets, *images, *weights)


def _find_kind_by_suffix(path: Path) -> tuple[Kind, ...]:
    kind = _SUFFIXES.get(path.suffix.lstrip(".").lower())
    return () if kind is None else (kind,)


def _has_images(folder: Path) -> bool:
    return (folder / "images").is_dir()


def _names_camera(text: str) -> bool:
    """Tell whether a text names a camera; follow links such as those of /dev/v4l/by-id."""
    return any(map(_DEVICE.fullmatch, (text, os.path.realpath(text))))
