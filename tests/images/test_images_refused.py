from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from guide import is_in_the_guide
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from rasters import DEEP, GRAY, Write, as_bytes, as_mode, png, tiff

from edgeseg.errors import SourceError
from edgeseg.images import read_image, read_mask


@dataclass(frozen=True, kw_only=True)
class Refused:
    name: str
    file: str = "a.png"
    write: Write
    says: str


def whole(file: str) -> bytes:
    content = BytesIO()
    Image.fromarray(GRAY).save(content, file)
    return content.getvalue()


UNREADABLE = [
    Refused(name="missing", write=lambda _path: None, says="does not exist"),
    Refused(name="empty", write=as_bytes(b""), says="is empty (0 bytes); restore or remove it"),
    Refused(name="text", write=as_bytes(b"not an image"),
            says="cannot be read as an image: its format is not known"),
    Refused(name="a folder", write=Path.mkdir,
            says="cannot be read as an image: Is a directory"),
    Refused(name="damaged", write=as_bytes(b"\x89PNG\r\n\x1a\nbroken"),
            says="cannot be read as an image: "),
    Refused(name="cut off", write=as_bytes(whole("PNG")[:-40]),
            says="cannot be read as an image: "),
]  # fmt: skip
NO_IMAGES = [
    Refused(name="cut off jpeg", file="a.jpg", write=as_bytes(whole("JPEG")[:-9]),
            says="cannot be read as an image: image file is truncated"),
    Refused(name="floating point", file="a.tif",
            write=as_bytes(tiff([GRAY.astype("<f4").tobytes()], bits=32, sample=3)),
            says="holds floating-point pixels, which have no one way to 8 bits; say with --range "
            "LOW,HIGH which values are black and white"),
    Refused(name="CIELAB", file="a.tif", write=lambda path: Image.new("LAB", (4, 4)).save(path),
            says="holds CIELAB pixels, which have no one way to 8 bits; save it as 8-bit RGB"),
    Refused(name="more than 16 bits", file="a.tif",
            write=as_bytes(tiff([(DEEP.astype("<u4") * 9).tobytes()], bits=32)),
            says="holds values outside 0 to 65535, whose scale to 8 bits is not known; say "
            "with --range LOW,HIGH which values are black and white"),
    Refused(name="below 0", file="a.tif",
            write=as_bytes(tiff([(DEEP.astype("<i4") - 9).tobytes()], bits=32, sample=2)),
            says="holds values outside 0 to 65535"),
    Refused(name="16 bits with the values of 8", write=lambda path: cv2.imwrite(
                str(path), GRAY.astype(np.uint16)),
            says="holds values up to 254 of 65535 and would be black in 8 bits; say with "
            "--range LOW,HIGH which values are black and white"),
]  # fmt: skip
NO_MASKS = [
    Refused(name="CMYK", file="a.tif", write=as_mode("CMYK"),
            says="is a CMYK image; a mask holds an id or a color a pixel (mode L, P, I;16, RGB)"),
    Refused(name="floating point", file="a.tif",
            write=as_bytes(tiff([GRAY.astype("<f4").tobytes()], bits=32, sample=3)),
            says="is a F image; a mask holds an id or a color a pixel"),
    Refused(name="pages", file="a.tif", says="holds several frames or pages, and a mask is one",
            write=lambda path: Image.fromarray(GRAY).save(
                path, save_all=True, append_images=[Image.fromarray(GRAY)])),
    Refused(name="jpeg", write=as_bytes(whole("JPEG")),
            says="is a JPEG, whose compression changes class ids; make the mask anew, as a PNG"),
    *(
        Refused(name=f"{bits} bits", write=as_bytes(png(GRAY, bits=bits, kind=0)),
                says="has 2 or 4 bits a pixel, which mean shades of gray up to white and not class "
                "ids; write the ids as an 8-bit PNG")
        for bits in (2, 4)
    ),
    Refused(name="an id above 65535", file="a.tif",
            write=as_bytes(tiff([(DEEP.astype("<u4") + 1).tobytes()], bits=32)
                           .replace(struct.pack("<I", 254 * 257 + 1), struct.pack("<I", 65536))),
            says="holds ids outside 0 to 65535; is it a mask?"),
    Refused(name="an id below 0", file="a.tif",
            write=as_bytes(tiff([(DEEP.astype("<i4") - 1).tobytes()], bits=32, sample=2)),
            says="holds ids outside 0 to 65535; is it a mask?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("read", "case"),
    [
        *((read_image, case) for case in (*UNREADABLE, *NO_IMAGES)),
        *((read_mask, case) for case in (*UNREADABLE, *NO_MASKS)),
    ],
    ids=lambda value: getattr(value, "name", None) or value.__name__,
)
def test_what_cannot_be_read_is_refused_in_one_line(
    read: Callable[[Path], np.ndarray], case: Refused, tmp_path: Path
) -> None:
    path = tmp_path / case.file
    case.write(path)
    with pytest.raises(SourceError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} {case.says}")
    assert "\n" not in message
    assert not message.endswith(".")
    assert is_in_the_guide(message)


@pytest.mark.parametrize("error", [TypeError, KeyError, struct.error, OverflowError, EOFError])
def test_whatever_pillow_raises_on_a_damaged_file_is_one_error(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some thousand damaged files raised a TypeError in its reader of TIFFs."""
    (tmp_path / "a.png").write_bytes(whole("PNG"))

    def fail(*_args: object) -> None:
        raise error("Pillow's words.")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(SourceError, match=r"a\.png cannot be read as an image: .*Pillow's words"):
        read_image(tmp_path / "a.png")


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(
    file=st.sampled_from(["PNG", "JPEG", "BMP", "WEBP"]),
    changes=st.dictionaries(st.integers(0, 2000), st.integers(0, 255), min_size=1, max_size=6),
    length=st.integers(0, 2000),
)
def test_a_damaged_file_is_read_or_refused(
    file: str, changes: dict[int, int], length: int, tmp_path_factory
) -> None:
    content = bytearray(whole(file))
    for place, value in changes.items():
        content[place % len(content)] = value
    path = tmp_path_factory.mktemp("images") / "a.png"
    path.write_bytes(content[: max(length, len(content) // 2)])
    for read in (read_image, read_mask):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of what it could still make out
            with suppress(SourceError):
                read(path)
