"""Gives the images of a topic in a ROS bag or MCAP file as frames; ROS is not needed.

drive.mcap:/camera/image   a topic of an MCAP file, of ROS 2's SQLite file (.db3), or of a ROS 1 bag
drive/:/camera/image       a topic of a ROS 2 bag, which is a folder with a metadata.yaml
drive.mcap                 the only topic with images
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeseg.errors import MissingPackageError, SourceError
from edgeseg.machine.extras import make_install_command
from edgeseg.progress import Say
from edgeseg.runtime.sources.files.images import IMAGES_FPS
from edgeseg.runtime.sources.files.ros_images import COMPRESSED, IMAGE, convert_message
from edgeseg.runtime.sources.source import Captured, Source
from edgeseg.text import explain, join_words

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

__all__ = ["Bag", "find_bag", "open_bag"]

_SUFFIXES: Final = frozenset({".bag", ".db3", ".mcap"})
_INDEX: Final = "metadata.yaml"
_INDEX_BEGINS: Final = b"rosbag2_bagfile_information"
_NS: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag's file or folder, and the topic that is asked for; None for the only one."""

    path: Path
    topic: str | None

    def list_files(self) -> list[Path]:
        """List the files that the bag consists of."""
        return sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]


def find_bag(uri: str | int) -> Bag | None:
    """Find the bag that a source's name means; None where it means something else.

    A bag is told by its ending, or as a folder by its `metadata.yaml`. A topic without a slash is
    taken as it is, and may be empty.
    """
    if isinstance(uri, int) or "://" in uri:
        return None
    path, colon, topic = uri.partition(":/")
    if _is_bag(Path(path)):
        return Bag(Path(path), f"/{topic}" if colon else None)
    path, colon, topic = uri.rpartition(":")
    return Bag(Path(path), topic) if colon and _is_bag(Path(path)) else None


def _is_bag(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with (path / _INDEX).open("rb") as file:
            return file.read(len(_INDEX_BEGINS)) == _INDEX_BEGINS
    except (OSError, ValueError):  # there is none; or whoever opens the path says what is wrong
        return False


@contextmanager
def open_bag(bag: Bag, say: Say) -> Iterator[Source]:
    """Open a topic's images, each once and in the order of recording.

    Frames carry the times of their headers' stamps; where the first has none, the times at which
    the messages were recorded, and `say` hears so.

    Raises:
        MissingPackageError: rosbags is not installed.
        SourceError: the bag is not there or not whole, has no such topic, or has several with
            images and none is named. Later, while iterating: a message is broken, or of another
            format.
    """
    reader = _make_reader(bag.path)
    try:
        with _explain_faults(bag.path):
            reader.open()
        chosen = _choose(reader.connections, bag)
        count = sum(connection.msgcount for connection in chosen)
        name = f"{bag.path}:{chosen[0].topic}"
        yield Source(
            name=name,
            frames=_read_frames(reader, chosen, name, say),
            fps=_find_rate(count, reader.duration * _NS),
            length=count,
        )
    finally:
        if reader.stack is not None:
            reader.close()


def _make_reader(path: Path) -> AnyReader:
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise MissingPackageError(
            "rosbags", purpose=f"reading {path}", command=make_install_command(["bag"])
        ) from None
    with _explain_faults(path):
        # Bags of ROS 2 before Iron hold no definitions; image messages are the same in all.
        return AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))


@contextmanager
def _explain_faults(path: Path) -> Iterator[None]:
    """Turn the reader's errors into one line: a cut file raises errors of many kinds."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"no bag at {path}; is the path right?") from None
    except Exception as error:
        raise SourceError(
            f"{path} cannot be read as a ROS bag: {explain(error)}; if its recording was cut off, "
            f"mend it with: mcap recover, rosbag reindex or ros2 bag reindex"
        ) from None


def _choose(connections: Sequence[Connection], bag: Bag) -> list[Connection]:
    """Choose the connections of the topic that is asked for, or of the only one with images."""
    images = [found for found in connections if found.msgtype in {IMAGE, COMPRESSED}]
    topics = sorted({found.topic for found in images})
    if bag.topic is None and len(topics) == 1:
        return images
    chosen = [found for found in images if found.topic == bag.topic]
    if chosen:
        return chosen
    there = f"those are {join_words(topics)}" if topics else "there is none"
    if bag.topic is not None:
        kinds = {found.msgtype for found in connections if found.topic == bag.topic}
        what = f"{bag.topic} holds {', '.join(kinds)}" if kinds else f"{bag.topic} is not in it"
        what = what if bag.topic else "no topic is named after the colon"
        slash = f" (with a slash before {bag.topic})" if f"/{bag.topic}" in topics else ""
        raise SourceError(f"{bag.path}: {what}; name a topic of images{slash}: {there}")
    if topics:
        raise SourceError(
            f"{bag.path} has several topics of images: {join_words(topics)}; name one: --source "
            f"{bag.path}:{topics[0]}"
        )
    raise SourceError(f"{bag.path} has no topic of images ({IMAGE} or {COMPRESSED})")


def _find_rate(count: int, seconds: float) -> float:
    fps = (count - 1) / seconds if count > 1 and seconds > 0 else 0.0
    return fps if 0 < fps < 1000 else IMAGES_FPS


def _read_frames(
    reader: AnyReader, chosen: Sequence[Connection], name: str, say: Say
) -> Iterator[Captured]:
    start: float | None = None
    last, stamped = 0.0, True
    for index, (kind, logged_ns, message) in enumerate(_read_messages(reader, chosen, name)):
        stamp_ns = _read_stamp_ns(message)
        if start is None:
            stamped = stamp_ns > 0
            if not stamped:
                say(f"{name} has no times in its headers: the times of recording are taken")
        time_ns = stamp_ns if stamped else logged_ns
        start = time_ns if start is None else start
        last = max(last, (time_ns - start) * _NS)
        yield Captured(
            index=index,
            name=f"{index:06d}",
            time_s=last,
            at=time.perf_counter(),
            image=convert_message(message, kind, name),
        )
    if start is None:
        raise SourceError(f"{name} holds no message")


def _read_messages(
    reader: AnyReader, chosen: Sequence[Connection], name: str
) -> Iterator[tuple[str, int, Any]]:
    """Read each message's type, time of recording in nanoseconds, and content."""
    messages = reader.messages(connections=list(chosen))
    while True:
        with _explain_faults(Path(name)):
            found = next(messages, None)
            if found is None:
                return
            connection, logged_ns, content = found
            message = reader.deserialize(content, connection.msgtype)
        yield connection.msgtype, logged_ns, message


def _read_stamp_ns(message: Any) -> int:  # noqa: ANN401  # of rosbags, made by name
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
