"""Bags of ROS 1 and ROS 2, written by rosbags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags import rosbag1, rosbag2
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_typestore

TOPIC = "/camera/image"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
# What a recording may be: how it ends, and whether its one file is named in place of its folder.
KINDS = ("bag", "mcap", "db3", "folder of mcap", "folder of db3")


@dataclass(frozen=True)
class Sent:
    """An image as a publisher sends it; `stamp_s` and `logged_s` in seconds."""

    data: bytes
    height: int = 0
    width: int = 0
    step: int = 0
    encoding: str = "bgr8"
    big_endian: bool = False
    compressed: str | None = None
    stamp_s: float = 0.0
    logged_s: float = 0.0
    topic: str = TOPIC


def send(image: np.ndarray, **fields: Any) -> Sent:
    """An image of 8 bits, whose rows lie without gaps."""
    height, width = image.shape[:2]
    step = image.size // height
    return Sent(image.tobytes(), **{"height": height, "width": width, "step": step, **fields})


def write_bag(folder: Path, kind: str, sent: Sequence[Sent]) -> Path:
    """Write a bag of one of KINDS, and return the path that a user gives."""
    store = get_typestore(Stores.ROS1_NOETIC if kind == "bag" else Stores.ROS2_HUMBLE)
    path = folder / ("drive.bag" if kind == "bag" else "drive")
    writer: Any
    if kind == "bag":
        writer, encode = rosbag1.Writer(path), store.serialize_ros1
    else:
        plugin = StoragePlugin.MCAP if "mcap" in kind else StoragePlugin.SQLITE3
        writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
        encode = store.serialize_cdr
    with writer:
        topics = {(item.topic, COMPRESSED if item.compressed else IMAGE) for item in sent}
        connections = {
            topic: writer.add_connection(topic, name, typestore=store) for topic, name in topics
        }
        for item in sent:
            message = _make_message(store, item)
            name = message.__msgtype__
            writer.write(connections[item.topic], round(item.logged_s * 1e9), encode(message, name))
    if kind in {"mcap", "db3"}:
        (path,) = path.glob(f"*.{kind}")
    return path


def _make_message(store: Any, item: Sent) -> Any:
    types = store.types
    nanoseconds = round(item.stamp_s * 1e9)
    time = types["builtin_interfaces/msg/Time"](
        sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9
    )
    more = {"seq": 0} if "seq" in types["std_msgs/msg/Header"].__dataclass_fields__ else {}
    header = types["std_msgs/msg/Header"](stamp=time, frame_id="camera", **more)
    data = np.frombuffer(item.data, np.uint8)
    if item.compressed:
        return types[COMPRESSED](header=header, format=item.compressed, data=data)
    return types[IMAGE](
        header=header,
        height=item.height,
        width=item.width,
        encoding=item.encoding,
        is_bigendian=int(item.big_endian),
        step=item.step,
        data=data,
    )
