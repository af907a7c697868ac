"""A bounded queue from one thread to the next, and fair turns among several queues."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Channel", "Ended", "EndedError", "Turns"]

T = TypeVar("T")


class EndedError(Exception):
    """A channel was closed, or its writer ended it: there is nothing more to take."""


class Channel(Generic[T]):
    """Holds at most `size` items. The writer ends the channel; the reader may close it.

    With `newest`, a full channel drops its oldest item, so that the writer does not wait. Channels
    that are read by `Turns` share the condition `changed`.
    """

    def __init__(
        self, size: int = 1, *, newest: bool = False, changed: threading.Condition | None = None
    ) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._newest = newest
        self._changed = changed or threading.Condition()
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

    def wait_for_room(self) -> None:
        """Wait until `put` would not wait, or the channel is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._newest or len(self._items) < self._size or self._closed
            )

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

    def peek(self) -> T | None:
        """Give the item that `take` would give without waiting, and leave it; None without one."""
        return self._items[0] if self._items else None

    @property
    def is_ready(self) -> bool:
        """Whether `take` would not wait: there is an item, or there will be none."""
        return bool(self._items) or self._ended or self._closed

    def take(self) -> T:
        """Wait for the next item, and take it.

        Raises:
            EndedError: the channel was closed, or ended without an error.
            BaseException: the error with which the writer ended the channel.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.is_ready)
            if not self._items:
                if self._error is not None and not self._closed:
                    raise self._error
                raise EndedError
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[T]:
        """Give every item, in order, until the end.

        Raises:
            BaseException: the error with which the writer ended the channel.
        """
        while True:
            try:
                item = self.take()
            except EndedError:
                return
            yield item


@dataclass(frozen=True, slots=True)
class Ended:
    """Comes after the last item of a channel, while other channels go on."""

    index: int


class Turns(Generic[T]):
    """Takes the items of several channels in turn: first of the one that waited longest.

    So channels that always have an item give as many as each other. The channels share the
    condition `changed`. `wait` is called before each item is taken, so that the item is the newest
    then. `on_error` hears of a channel's error, and raises it or lets the others go on.
    """

    def __init__(
        self,
        channels: Sequence[Channel[T]],
        changed: threading.Condition,
        *,
        wait: Callable[[], None],
        on_error: Callable[[int, BaseException], None],
    ) -> None:
        self._channels = channels
        self._changed = changed
        self._wait = wait
        self._on_error = on_error
        self._waiting = list(range(len(channels)))  # the one that waited longest comes first

    def __iter__(self) -> Iterator[T | Ended]:
        """Give items until every channel has ended, and say of all but the last one that it has."""
        waiting = self._waiting
        while waiting:
            self._wait()
            with self._changed:
                self._changed.wait_for(lambda: any(self._channels[i].is_ready for i in waiting))
                index = next(i for i in waiting if self._channels[i].is_ready)
            waiting.remove(index)
            try:
                item = self._channels[index].take()
            except EndedError:
                pass
            except BaseException as error:  # the writer's, of any kind
                self._on_error(index, error)
            else:
                waiting.append(index)
                yield item
                continue
            if waiting:
                yield Ended(index)

    def take_more(self, count: int, *, fits: Callable[[T], bool]) -> list[T]:
        """Take `count` items that fit, of the channels that waited longest, if as many are there.

        None is taken otherwise. The reader calls it after an item, whose channel gives no other.
        """
        with self._changed:
            waiting = [(i, self._channels[i].peek()) for i in self._waiting[:-1]]
            ready = [i for i, item in waiting if item is not None and fits(item)][:count]
            if len(ready) < count:
                return []
            for index in ready:
                self._waiting.remove(index)
                self._waiting.append(index)
            return [self._channels[index].take() for index in ready]

    def close(self) -> None:
        """Close every channel."""
        for channel in self._channels:
            channel.close()
