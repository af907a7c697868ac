"""Tells whether a clip's colors differ in kind from those that networks are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from edgeseg.runtime.sources.captures import properties
from edgeseg.runtime.sources.captures.container import read_color

__all__ = ["describe_color"]

# ITU-T H.273: transfer characteristics, and color primaries.
_HDR: Final = {16: "PQ", 18: "HLG"}
_BT2020: Final = 9


def describe_color(device: Any, name: str, path: Path | None) -> str | None:  # noqa: ANN401  # cv2.VideoCapture
    """Describe unusual colors of an opened clip; None where the colors are usual.

    OpenCV up to 4 decodes HDR like other video, so its colors are pale. With OpenCV 5 the result
    depends on the FFmpeg inside. PyAV recognizes HDR; without PyAV only a clip of more than 8 bits
    is noticed.
    """
    color = None if path is None else read_color(path)
    if color is None:
        if not _is_deep(device):
            return None
        return (
            f"{name} has more than 8 bits a color; if it is HDR, its colors are not those that the "
            f"network knows: convert it to SDR (with edgeseg[video] installed, this is looked up)"
        )
    kind = _HDR.get(color.transfer) or ("BT.2020" if color.primaries == _BT2020 else None)
    if kind is None:
        return None
    return (
        f"{name} is HDR or of a wide gamut ({kind}): its colors are not those that the network "
        f"knows, and masks may be worse; convert it to SDR (BT.709)"
    )


def _is_deep(device: Any) -> bool:  # noqa: ANN401  # as above
    """Tell whether frames have more than 8 bits; FFmpeg's code for such YUV ends in the number."""
    code = int(device.get(properties.PIXEL_FORMAT)) & 0xFFFFFFFF
    letters = code.to_bytes(4, "little")
    return letters.startswith(b"Y3") and letters[3] > 8
