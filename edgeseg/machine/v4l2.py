"""Asks a camera's driver what the camera offers, through Video4Linux 2; changes nothing.

The structures are those of <linux/videodev2.h>, in the byte order of this machine.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

__all__ = ["Format", "Ioctl", "Offer", "Size", "read_offer"]

# Calls a device with a request and a structure, which the driver fills; fcntl.ioctl does.
Ioctl = Callable[[int, int, ctypes.Structure], object]

_CAPTURE: Final = 0x1  # V4L2_CAP_VIDEO_CAPTURE
_CAPTURE_PLANES: Final = 0x1000  # V4L2_CAP_VIDEO_CAPTURE_MPLANE
_HAS_DEVICE_CAPS: Final = 0x80000000  # V4L2_CAP_DEVICE_CAPS
_BUF_CAPTURE: Final = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_BUF_CAPTURE_PLANES: Final = 9  # V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE
_DISCRETE: Final = 1  # V4L2_FRMSIZE_TYPE_DISCRETE, and V4L2_FRMIVAL_TYPE_DISCRETE
# A driver that never says "no more" would be asked without end.
_MOST: Final = 256
_U32: Final = ctypes.c_uint32

S = TypeVar("S", bound=ctypes.Structure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A frame size in pixels, with its rates in frames a second, highest first.

    A camera that takes any size in a range has its smallest and its largest one here. Rates in a
    range have the lowest and the highest.
    """

    height: int
    width: int
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A pixel format by its four letters, as `MJPG`, and what the driver calls it."""

    code: str
    description: str
    sizes: tuple[Size, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a camera's driver says: the camera's name and bus, and the formats that it gives."""

    name: str
    driver: str
    bus: str
    formats: tuple[Format, ...]


class _Capability(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", _U32),
        ("capabilities", _U32),
        ("device_caps", _U32),
        ("reserved", _U32 * 3),
    )


class _FormatDescription(ctypes.Structure):
    _fields_ = (
        ("index", _U32),
        ("type", _U32),
        ("flags", _U32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", _U32),
        ("mbus_code", _U32),
        ("reserved", _U32 * 3),
    )


class _FrameSize(ctypes.Structure):
    # `size` is width and height; or the least, the most and the step of each.
    _fields_ = (
        ("index", _U32),
        ("pixel_format", _U32),
        ("type", _U32),
        ("size", _U32 * 6),
        ("reserved", _U32 * 2),
    )


class _FrameInterval(ctypes.Structure):
    # `interval` is a fraction of a second; or the shortest, the longest and the step.
    _fields_ = (
        ("index", _U32),
        ("pixel_format", _U32),
        ("width", _U32),
        ("height", _U32),
        ("type", _U32),
        ("interval", _U32 * 6),
        ("reserved", _U32 * 2),
    )


def _number_request(number: int, struct: type[ctypes.Structure], *, writes: bool) -> int:
    """Number a request as _IOR and _IOWR of <asm-generic/ioctl.h> do, for the letter V."""
    direction = 3 if writes else 2
    return direction << 30 | ctypes.sizeof(struct) << 16 | ord("V") << 8 | number


_QUERYCAP: Final = _number_request(0, _Capability, writes=False)
_ENUM_FMT: Final = _number_request(2, _FormatDescription, writes=True)
_ENUM_FRAMESIZES: Final = _number_request(74, _FrameSize, writes=True)
_ENUM_FRAMEINTERVALS: Final = _number_request(75, _FrameInterval, writes=True)


def read_offer(device: int, ioctl: Ioctl) -> Offer | None:
    """Read what an opened device offers; None where the device gives no pictures.

    Drivers make further devices for metadata, for output and for codecs. `device` is a descriptor.

    Raises:
        OSError: the device does not answer as Video4Linux.
    """
    found = _Capability()
    ioctl(device, _QUERYCAP, found)
    has_own = found.capabilities & _HAS_DEVICE_CAPS
    capabilities = found.device_caps if has_own else found.capabilities
    if not capabilities & (_CAPTURE | _CAPTURE_PLANES):
        return None
    kind = _BUF_CAPTURE if capabilities & _CAPTURE else _BUF_CAPTURE_PLANES
    return Offer(
        name=_decode(found.card),
        driver=_decode(found.driver),
        bus=_decode(found.bus_info),
        formats=tuple(_read_formats(device, kind, ioctl)),
    )


def _read_formats(device: int, kind: int, ioctl: Ioctl) -> Iterator[Format]:
    asked = (_FormatDescription(index=index, type=kind) for index in range(_MOST))
    for found in _list_answers(device, _ENUM_FMT, asked, ioctl):
        yield Format(
            code=found.pixelformat.to_bytes(4, "little").decode("ascii", "replace").strip(),
            description=_decode(found.description),
            sizes=tuple(_read_sizes(device, found.pixelformat, ioctl)),
        )


def _read_sizes(device: int, code: int, ioctl: Ioctl) -> Iterator[Size]:
    asked = (_FrameSize(index=index, pixel_format=code) for index in range(_MOST))
    for found in _list_answers(device, _ENUM_FRAMESIZES, asked, ioctl):
        first, second, _, third, fourth, _ = found.size
        # A range is one answer.
        ranged = ((first, third), (second, fourth))
        sizes = ((first, second),) if found.type == _DISCRETE else ranged
        for width, height in sizes:
            rates = _read_rates(device, code, (height, width), ioctl)
            yield Size(height=height, width=width, rates=tuple(sorted(set(rates), reverse=True)))
        if found.type != _DISCRETE:
            return


def _read_rates(device: int, code: int, size: tuple[int, int], ioctl: Ioctl) -> Iterator[float]:
    height, width = size
    asked = (
        _FrameInterval(index=index, pixel_format=code, width=width, height=height)
        for index in range(_MOST)
    )
    for found in _list_answers(device, _ENUM_FRAMEINTERVALS, asked, ioctl):
        counted = 1 if found.type == _DISCRETE else 2
        for at in range(0, 2 * counted, 2):
            seconds, parts = found.interval[at : at + 2]
            if seconds:
                yield round(parts / seconds, 3)
        if found.type != _DISCRETE:
            return


def _list_answers(device: int, request: int, asked: Iterator[S], ioctl: Ioctl) -> Iterator[S]:
    """Ask one after the other, until the driver has no more (EINVAL), or answers nothing such."""
    for struct in asked:
        try:
            ioctl(device, request, struct)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOTTY, errno.ENODATA}:
                return
            raise
        yield struct


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace").strip()
