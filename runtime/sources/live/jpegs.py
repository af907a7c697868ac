"""Splits a stream of bytes into JPEGs by their markers (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

__all__ = ["JPEG_START", "JpegSplitter"]

# A start of image, and the first byte of the marker that follows.
JPEG_START: Final = b"\xff\xd8\xff"

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Markers without a length: restarts, and TEM.
_BARE: Final = frozenset({*range(0xD0, 0xD8), 0x01})
# What ends a scan: a marker that is neither a stuffed 0, a filling FF, nor a restart.
_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class _Step(Enum):
    ON = auto()
    WAIT = auto()
    WHOLE = auto()
    BROKEN = auto()


class JpegSplitter:
    """Takes bytes as they arrive, and gives each whole JPEG.

    Thumbnails inside a JPEG are a part of it. A JPEG that is cut, so that another begins amid it,
    is passed over. `passed_over` counts the bytes that belong to no whole JPEG; `held` those of a
    JPEG that has begun.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._begun = self._in_scan = False
        self.passed_over = 0

    @property
    def held(self) -> int:
        """How many bytes of a JPEG there are that has not ended."""
        return len(self._buffer) if self._begun else 0

    def feed(self, content: bytes) -> Iterator[bytes]:
        """Take further bytes, and give the JPEGs that they complete."""
        self._buffer += content
        while self._begun or self._find_start():
            step = self._walk()
            if step is _Step.WAIT:
                return
            if step is _Step.WHOLE:
                yield bytes(self._buffer[: self._at])
                self._drop(self._at)
            else:
                self.passed_over += len(JPEG_START) - 1
                self._drop(len(JPEG_START) - 1)

    def _find_start(self) -> bool:
        """Drop all before the next start; false where there is none yet."""
        start = self._buffer.find(JPEG_START)
        # The last two bytes may be the beginning of a start.
        before = start if start >= 0 else max(0, len(self._buffer) - 2)
        self.passed_over += before
        self._drop(before)
        self._begun = start >= 0
        return self._begun

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._begun = self._in_scan = False
        self._at = len(JPEG_START) - 1

    def _walk(self) -> _Step:
        """Walk on from marker to marker, until the end or as far as the bytes reach."""
        step = _Step.ON
        while step is _Step.ON:
            step = self._leave_scan() if self._in_scan else self._pass_segment()
        return step

    def _leave_scan(self) -> _Step:
        found = _AFTER_SCAN.search(self._buffer, self._at)
        self._at = found.start() if found else max(self._at, len(self._buffer) - 1)
        self._in_scan = found is None
        return _Step.ON if found else _Step.WAIT

    def _pass_segment(self) -> _Step:
        head = self._buffer[self._at : self._at + 4]
        if len(head) < 2:
            return _Step.WAIT
        if head[0] != 0xFF or head[1] in {0x00, _START}:
            return _Step.BROKEN
        if head[1] == 0xFF:  # filling before a marker
            self._at += 1
            return _Step.ON
        if head[1] == _END or head[1] in _BARE:
            self._at += 2
            return _Step.WHOLE if head[1] == _END else _Step.ON
        if len(head) < 4:
            return _Step.WAIT
        length = int.from_bytes(head[2:], "big")
        if length < 2:
            return _Step.BROKEN
        if len(self._buffer) < self._at + 2 + length:
            return _Step.WAIT
        self._at += 2 + length
        self._in_scan = head[1] == _SCAN
        return _Step.ON
