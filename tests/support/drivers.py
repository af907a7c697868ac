"""A camera's driver of the tests' own: it answers with the bytes of <linux/videodev2.h>."""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Callable, Mapping

# As strace and the kernel's documentation have them.
QUERYCAP, ENUM_FMT, FRAMESIZES, INTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
CAPTURE, META, OUTPUT, PLANES, OWN = 0x1, 0x800000, 0x2, 0x1000, 0x80000000
MJPG, YUYV = 0x47504A4D, 0x56595559


def capability(capabilities: int, device_caps: int) -> bytes:
    texts = (b"uvcvideo", b"HD Webcam: C\xc3\xa4m", b"usb-0000:00:14.0-1")
    return struct.pack("=16s32s32s3I12x", *texts, 0x60000, capabilities, device_caps)


Answers = Mapping[tuple[int, ...], bytes]


def make_driver(answers: Answers, asked: list[int] | None = None) -> Callable[..., object]:
    """A driver that looks up what it was asked: the request, and the fields that ask."""

    def ioctl(_device: int, request: int, field: ctypes.Structure) -> int:
        given = struct.unpack_from("=4I", bytes(field))
        key = {
            QUERYCAP: (),
            ENUM_FMT: given[:2],
            FRAMESIZES: given[:2],
            INTERVALS: given,
        }[request]
        if asked is not None:
            asked.append(request)
        answer = answers.get((request, *key))
        if answer is None:
            raise OSError(errno.EINVAL, "Invalid argument")
        assert len(answer) == ctypes.sizeof(field)
        ctypes.memmove(ctypes.addressof(field), answer, len(answer))
        return 0

    return ioctl


def description(index: int, kind: int, code: int, name: bytes) -> bytes:
    return struct.pack("=3I32s2I12x", index, kind, 0, name, code, 0)


def discrete_size(index: int, code: int, width: int, height: int) -> bytes:
    return struct.pack("=5I16x8x", index, code, 1, width, height)


def discrete_rate(index: int, code: int, size: tuple[int, int], rate: tuple[int, int]) -> bytes:
    return struct.pack("=7I16x8x", index, code, *size, 1, *rate)


WEBCAM: Answers = {
    (QUERYCAP,): capability(OWN | CAPTURE | META, OWN | CAPTURE),
    (ENUM_FMT, 0, 1): description(0, 1, MJPG, b"Motion-JPEG"),
    (ENUM_FMT, 1, 1): description(1, 1, YUYV, b"YUYV 4:2:2"),
    (FRAMESIZES, 0, MJPG): discrete_size(0, MJPG, 1280, 720),
    (FRAMESIZES, 1, MJPG): discrete_size(1, MJPG, 640, 480),
    (INTERVALS, 0, MJPG, 1280, 720): discrete_rate(0, MJPG, (1280, 720), (1001, 30000)),
    (INTERVALS, 1, MJPG, 1280, 720): discrete_rate(1, MJPG, (1280, 720), (1, 60)),
    (INTERVALS, 0, MJPG, 640, 480): discrete_rate(0, MJPG, (640, 480), (2, 15)),
    # A range: the least, the most and the step of the width, then of the height.
    (FRAMESIZES, 0, YUYV): struct.pack("=9I8x", 0, YUYV, 3, 32, 1920, 8, 24, 1080, 4),
    # The shortest, the longest and the step of the seconds between two frames.
    (INTERVALS, 0, YUYV, 32, 24): struct.pack("=11I8x", 0, YUYV, 32, 24, 2, 1, 60, 1, 5, 1, 1),
}
