"""Tells by its first bytes what a file is that lies where weights should."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import IO, Final

__all__ = ["explain_bytes", "explain_cut"]

_LFS: Final = b"version https://git-lfs.github.com/spec/"
_LFS_SIZE: Final = re.compile(rb"^size (\d+)$", re.MULTILINE)
_PAGES: Final = (b"<!doctype", b"<html", b"<head", b"<?xml")  # in small letters
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_ZIP: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"
# ONNX is a protobuf: its version (below 32), then one of the model's other fields.
_ONNX: Final = re.compile(rb"\x08[\x03-\x1f][\x12\x1a\x22\x32\x3a\x42]", re.DOTALL)
_MADE_FROM: Final = "edgeseg needs the weights that it was made from"
_AGAIN: Final = "download or copy it again"


def explain_bytes(path: Path) -> str | None:
    """Explain what a file is, and what to do; None where it may hold weights.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(1024)
    if not start:
        return f"is an empty file; {_AGAIN}"
    if start.startswith(_LFS):
        return _explain_pointer(start)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return (
            "is a web page and not the file that its link should lead to: such a page asks to sign "
            "in, or says why there is no download; read it in a browser, and download the file"
        )
    if start.startswith(_HDF5):
        return (
            "is an HDF5 file, in which Keras and TensorFlow keep weights; edgeseg reads PyTorch's: "
            "convert them there, with transformers 4 by from_pretrained(FOLDER, from_tf=True)"
        )
    if start.startswith(_GZIP):
        return "is a gzip archive; unpack it, and give what it holds"
    is_safetensors = _has_header(start)
    if not is_safetensors and _ONNX.match(start):
        return f"is an ONNX graph; {_MADE_FROM}"
    return _explain_name(path, start, is_safetensors=is_safetensors)


def explain_cut(path: Path) -> str | None:
    """Explain that a file's end is missing; None where the file does not show it.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(9)
        if start.startswith(_ZIP):
            needed = None if zipfile.is_zipfile(file) else 0
        else:
            needed = _find_needed(file, start)
    there = path.stat().st_size
    if needed is None or 0 < needed <= there:
        return None
    told = f"{there:,} of its {needed:,} bytes are" if needed else f"only {there:,} bytes are"
    return f"is cut off: {told} here; {_AGAIN}"


def _explain_pointer(start: bytes) -> str:
    found = _LFS_SIZE.search(start)
    size = f", which has {int(found[1]):,} bytes" if found else ""
    return (
        f"is a pointer of Git LFS and not the file itself{size}; run `git lfs pull` in its "
        f"repository, or download the file"
    )


def _explain_name(path: Path, start: bytes, *, is_safetensors: bool) -> str | None:
    """Explain that weights have the ending of the other form."""
    named = path.suffix == ".safetensors"
    if is_safetensors and not named:
        return f"is a safetensors file under another name; rename it to {path.stem}.safetensors"
    if named and start.startswith((_ZIP, b"\x80\x02")):
        return f"is a file of torch.save under another name; rename it to {path.stem}.pth"
    return None


def _has_header(start: bytes) -> bool:
    """Tell whether a file begins as safetensors does: a length, and JSON."""
    return start[5:8] == bytes(3) and start[8:9] == b"{"


def _find_needed(file: IO[bytes], start: bytes) -> int | None:
    """Find how many bytes a safetensors file has when it is whole."""
    if not _has_header(start):
        return None
    length = int.from_bytes(start[:8], "little")
    file.seek(8)
    header = file.read(length)
    if len(header) < length:
        return 8 + length
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name[:2] != "__"]
        return 8 + length + max(ends, default=0)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
