"""A bounded queue from one thread to the next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Channel"]

T = TypeVar("T")


class Channel(Generic[T]):
    """Holds at most `size` items. The writer ends the channel; the reader may close it.

    With `newest`, a full channel drops its oldest item, so that the writer does not wait.
    """

    def __init__(self, size: int = 1, *, newest: bool = False) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._newest = newest
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0

    def put(self, item: T) -> bool:
        """Hand an item over; return false where the reader has closed the channel."""
        with self._changed:
            while len(self._items) == self._size and not self._closed:
                if self._newest:
                    self._items.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait()
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """Say that no more items come; `error` is raised in the reader after the last item."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more items are wanted; a waiting writer goes on, and `put` returns false."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Give every item, in order, until the end.

        Raises:
            BaseException: the error with which the writer ended the channel.
        """
        while True:
            with self._changed:
                while not self._items and not self._ended and not self._closed:
                    self._changed.wait()
                if not self._items:
                    if self._error is not None and not self._closed:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
