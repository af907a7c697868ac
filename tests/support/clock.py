"""A clock that can be drawn into a picture, coded as video, and read again.

Milliseconds of CLOCK_MONOTONIC, which all processes of a machine share, as 32 blocks in black and
white: large enough for any codec. Drawing needs the standard library alone: the system's Python,
which serves RTSP, has no NumPy.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BITS = 32
COLUMNS = 8
BLOCK = 32
HEIGHT, WIDTH = BLOCK * BITS // COLUMNS, BLOCK * COLUMNS


def now_ms() -> int:
    return int(time.monotonic() * 1e3) % (1 << BITS)


def draw(milliseconds: int) -> bytes:
    """Gray, HEIGHT rows of WIDTH."""
    bits = [milliseconds >> bit & 1 for bit in range(BITS)]
    rows = (bits[first : first + COLUMNS] for first in range(0, BITS, COLUMNS))
    return b"".join(b"".join(bytes([255 * bit]) * BLOCK for bit in row) * BLOCK for row in rows)


def picture(number: int) -> npt.NDArray[np.uint8]:
    """The same as (HEIGHT, WIDTH, 3)."""
    import numpy as np

    gray = np.frombuffer(draw(number), np.uint8).reshape(HEIGHT, WIDTH, 1)
    return np.repeat(gray, 3, axis=2)


def read(picture: npt.NDArray[np.uint8]) -> int:
    """From (HEIGHT, WIDTH, 3)."""
    gray = picture.mean(axis=2).reshape(-1, BLOCK, COLUMNS, BLOCK)
    inner = gray[:, BLOCK // 4 : -BLOCK // 4, :, BLOCK // 4 : -BLOCK // 4].mean(axis=(1, 3))
    return sum(1 << bit for bit, value in enumerate(inner.ravel()) if value > 127)
