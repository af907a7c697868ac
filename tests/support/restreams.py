"""Servers that take a stream: what FFmpeg itself can receive, each in a process of its own.

Run as a program: restreams.py URL OPTIONS FRAMES prints a JSON list of the frames that came, as
[time in seconds, mean blue, mean green, mean red, height, width].
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path


def find_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Receiver:
    """Takes one stream at `url`, and gives its first frames."""

    def __init__(self, url: str, *, frames: int, listen: bool = True) -> None:
        options = json.dumps({"listen": "1"} if listen else {})
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), url, options, str(frames)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def wait(self) -> list[list[float]]:
        told, _ = self._process.communicate(timeout=60)
        return json.loads(told)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def receive(url: str, options: dict[str, str], most: int) -> list[list[float]]:
    import av

    print("ready", flush=True)
    found: list[list[float]] = []
    try:
        with av.open(url, options=options, timeout=30) as container:
            for frame in container.decode(video=0):
                image = frame.to_ndarray(format="bgr24")
                found.append([frame.time, *image.mean(axis=(0, 1)).tolist(), *image.shape[:2]])
                if len(found) == most:
                    break
    except (OSError, av.FFmpegError):
        pass  # the sender has gone
    return found


if __name__ == "__main__":
    print(json.dumps(receive(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))))
