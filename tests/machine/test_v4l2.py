"""What a camera's driver answers, read from the bytes that <linux/videodev2.h> lays down.

There is no camera where tests run: a driver of the test's own answers.
"""

from __future__ import annotations

import ctypes
import errno
import shutil
import subprocess
from pathlib import Path

import pytest
from drivers import (
    CAPTURE,
    ENUM_FMT,
    FRAMESIZES,
    INTERVALS,
    META,
    OUTPUT,
    OWN,
    PLANES,
    QUERYCAP,
    WEBCAM,
    capability,
    description,
    make_driver,
)

from edgeseg.machine import v4l2
from edgeseg.machine.v4l2 import Format, Offer, Size, read_offer


def test_a_webcam() -> None:
    asked: list[int] = []
    assert read_offer(0, make_driver(WEBCAM, asked)) == Offer(
        name="HD Webcam: Cäm",
        driver="uvcvideo",
        bus="usb-0000:00:14.0-1",
        formats=(
            Format(
                code="MJPG",
                description="Motion-JPEG",
                sizes=(
                    Size(height=720, width=1280, rates=(60.0, 29.97)),
                    Size(height=480, width=640, rates=(7.5,)),
                ),
            ),
            Format(
                code="YUYV",
                description="YUYV 4:2:2",
                sizes=(
                    Size(height=24, width=32, rates=(60.0, 5.0)),
                    Size(height=1080, width=1920, rates=()),
                ),
            ),
        ),
    )
    assert set(asked) == {QUERYCAP, ENUM_FMT, FRAMESIZES, INTERVALS}  # nothing is set


@pytest.mark.parametrize(
    ("capabilities", "device_caps", "gives"),
    [
        (CAPTURE, 0, True),  # an older driver has no field for the device
        (OWN | CAPTURE | META, OWN | META, False),  # a webcam's second device
        (OWN | OUTPUT, OWN | OUTPUT, False),
        (OWN | PLANES, OWN | PLANES, True),
    ],
)
def test_which_devices_give_pictures(capabilities: int, device_caps: int, *, gives: bool) -> None:
    driver = make_driver({(QUERYCAP,): capability(capabilities, device_caps)})
    offer = read_offer(0, driver)
    assert (offer is not None) is gives
    assert offer is None or offer.formats == ()


def test_formats_of_a_driver_with_planes() -> None:
    answers = {
        (QUERYCAP,): capability(OWN | PLANES, OWN | PLANES),
        (ENUM_FMT, 0, 9): description(0, 9, int.from_bytes(b"NV12", "little"), b"Y/UV 4:2:0"),
    }
    offer = read_offer(0, make_driver(answers))
    assert offer is not None
    assert [form.code for form in offer.formats] == ["NV12"]


def test_a_driver_that_never_ends_is_left() -> None:
    def ioctl(_device: int, request: int, field: ctypes.Structure) -> None:
        if request == QUERYCAP:
            ctypes.memmove(ctypes.addressof(field), capability(CAPTURE, 0), 104)
        elif request != ENUM_FMT:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")

    offer = read_offer(0, ioctl)
    assert offer is not None
    assert len(offer.formats) == 256


HEADERS = r"""
#include <linux/videodev2.h>
#include <stddef.h>
#include <stdio.h>
int main(void) {
    printf("%lu %lu %lu %lu\n", (unsigned long)VIDIOC_QUERYCAP, (unsigned long)VIDIOC_ENUM_FMT,
           (unsigned long)VIDIOC_ENUM_FRAMESIZES, (unsigned long)VIDIOC_ENUM_FRAMEINTERVALS);
    printf("%zu %zu %zu %zu %zu %zu\n", offsetof(struct v4l2_capability, device_caps),
           offsetof(struct v4l2_fmtdesc, pixelformat), offsetof(struct v4l2_frmsizeenum, discrete),
           offsetof(struct v4l2_frmsizeenum, stepwise.max_height),
           offsetof(struct v4l2_frmivalenum, discrete),
           offsetof(struct v4l2_frmivalenum, stepwise.max));
    return 0;
}
"""


def test_the_kernels_own_headers_agree(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs a C compiler and linux/videodev2.h")
    (tmp_path / "headers.c").write_text(HEADERS)
    program = tmp_path / "headers"
    subprocess.run([compiler, "-o", program, tmp_path / "headers.c"], check=True)
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    requests, offsets = (tuple(map(int, line.split())) for line in printed.splitlines())
    assert requests == (QUERYCAP, ENUM_FMT, FRAMESIZES, INTERVALS)
    size, interval = v4l2._FrameSize.size.offset, v4l2._FrameInterval.interval.offset
    assert offsets == (
        v4l2._Capability.device_caps.offset,
        v4l2._FormatDescription.pixelformat.offset,
        *(size, size + 16, interval, interval + 8),
    )
