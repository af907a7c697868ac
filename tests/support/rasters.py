"""One picture, gray from left to right, in any kind of file, also in those Pillow cannot write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

# Every second level of gray, 8 times.
GRAY = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (8, 1))
DEEP = GRAY.astype(np.uint16) * 257

Write = Callable[[Path], object]


def as_mode(mode: str, **options: object) -> Write:
    """The grays in one of Pillow's modes."""
    source = Image.fromarray(GRAY).convert("L" if mode in {"1", "LA", "P", "PA"} else "RGB")
    return lambda path: source.convert(mode).save(path, **options)


def by_opencv(channels: int, *options: int) -> Write:
    """The grays in 16 bits a channel, written by another library than the one that reads."""
    values = np.repeat(DEEP[:, :, None], channels, axis=2)
    return lambda path: cv2.imwrite(str(path), values, options)


def as_bytes(content: bytes) -> Write:
    return lambda path: path.write_bytes(content)


def png(values: np.ndarray, *, bits: int, kind: int) -> bytes:
    """A PNG of a depth and color type that Pillow does not write; `values` are its rows' bytes."""

    def chunk(tag: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + tag + content + struct.pack(
            ">I", zlib.crc32(tag + content)
        )  # fmt: skip

    width = values.shape[1] * 8 // bits // {0: 1, 4: 2}[kind]
    header = struct.pack(">IIBBBBB", width, len(values), bits, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    )


def tiff(
    strips: Sequence[bytes],
    *,
    bits: int,
    channels: int = 1,
    white: int = 1,
    sample: int = 1,
    extra: Sequence[int] = (),
    orientation: int = 1,
) -> bytes:
    """A TIFF of the grays' size, uncompressed; several strips are one a channel.

    `white` is the tag PhotometricInterpretation (0: white is 0, 1: black is 0, 2: RGB, 5: CMYK),
    `extra` the tag ExtraSamples (0: anything, 1: alpha that colors are multiplied by, 2: alpha).
    """
    height, width = GRAY.shape
    body = b"".join(strips)
    places = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    tags = [
        (256, [width]), (257, [height]), (258, [bits] * channels), (259, [1]), (262, [white]),
        (273, places), (274, [orientation]), (277, [channels]), (278, [height]),
        (279, [len(s) for s in strips]), (284, [2 if len(strips) > 1 else 1]),
        *([(338, extra)] if extra else []), (339, [sample] * channels),
    ]  # fmt: skip
    entries, beside = b"", b""
    for tag, values in tags:
        field = struct.pack(f"<{len(values)}I", *values)
        if len(field) > 4:
            place = struct.pack("<I", 8 + len(body) + len(beside))
            beside, field = beside + field, place
        entries += struct.pack("<HHI", tag, 4, len(values)) + field
    start = struct.pack("<I", 8 + len(body) + len(beside))
    return (
        b"II*\0" + start + body + beside + struct.pack("<H", len(tags)) + entries + bytes(4)
    )  # fmt: skip


def twelve_bits() -> bytes:
    """The grays in 12 bits a pixel, two in three bytes."""
    values = GRAY.astype(np.uint16).ravel() * 16
    first, second = values[::2], values[1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1)
    return tiff([packed.astype(np.uint8).tobytes()], bits=12)
