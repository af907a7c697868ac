"""Whether a run holds its rate by the input's size, on a machine that others burden midway.

    python benchmarks/hold_rate.py BUNDLE [--fps 8] [--seconds 40] [--busy 4]

The bundle has several sizes: `edgeseg export --model b0 --size 512x512 --size 320x320 --size
192x192 -o BUNDLE`. A camera's stand-in gives frames of 640x480 at the rate. For `--seconds` each,
the machine is free, then `--busy` processes compute beside the run, then it is free again. A JSON
line for each of the three: the frames a second that got a mask, the share of each size, and the
changes of size with the second in which each came. One more line has the same for a run that keeps
the largest size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import run_script
from edgeseg.demo import draw_scene
from edgeseg.progress import SILENT
from edgeseg.runtime.events import Event
from edgeseg.runtime.live.network import Choice, Network
from edgeseg.runtime.live.run import run
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sizes import SizeKeeper, open_smaller
from edgeseg.runtime.sources import Captured, Source

PHASES = ("free", "burdened", "free again")
# So many drawn frames are shown in turn, for drawing one takes longer than a small network.
DRAWN = 16


class Watch:
    """A sink that notes when each result came, and of which size it is."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.seen: list[tuple[float, str]] = []

    def write(self, result: Result, /) -> None:
        """Note a result."""
        self.seen.append((time.perf_counter(), self._names[result.network]))

    def finish(self) -> None:
        """Keep what was noted."""

    def discard(self) -> None:
        """Keep what was noted."""


def main() -> None:
    """Print a JSON line for each phase: held by the size, then with the largest size alone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--fps", type=float, default=8)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--busy", type=int, default=4)
    options = parser.parse_args()
    with ExitStack() as stack:
        bundle = open_bundle(options.bundle)
        sizes = [stack.enter_context(Segmenter(bundle)), *open_smaller(bundle, stack, SILENT)]
        names = [f"{one.input.height}x{one.input.width}" for one in sizes]
        moves: list[tuple[float, str]] = []

        def note(event: Event) -> None:
            moves.append((time.perf_counter(), event.text))

        keeper = SizeKeeper(sizes, rate=options.fps, tell=note)
        measure("held by the size", keeper.choice, keeper.see, names, moves, options)
        measure("the largest size", sizes[0], lambda _result: None, names, [], options)


def measure(
    way: str,
    network: Network | Choice,
    see: Callable[[Result], None],
    names: list[str],
    moves: list[tuple[float, str]],
    options: argparse.Namespace,
) -> None:
    """Run for three phases, and print what each was like."""

    class Seen(Watch):
        def write(self, result: Result, /) -> None:
            super().write(result)
            see(result)

    watch, begun = Seen(names), time.perf_counter()
    with burden(options.busy, after_s=options.seconds, for_s=options.seconds):
        run(network, make_camera(options.fps), [watch], max_seconds=len(PHASES) * options.seconds)
    for index, phase in enumerate(PHASES):
        first = begun + index * options.seconds
        within = range(int(first * 1e3), int((first + options.seconds) * 1e3))
        sizes = Counter(name for when, name in watch.seen if int(when * 1e3) in within)
        told = [(when - first, text) for when, text in moves if int(when * 1e3) in within]
        line = {
            "way": way,
            "phase": phase,
            "asked_fps": options.fps,
            "fps": round(sum(sizes.values()) / options.seconds, 2),
            "share": {name: round(sizes[name] / max(1, sum(sizes.values())), 3) for name in names},
            "changes": [[round(second, 1), text] for second, text in told],
        }
        print(json.dumps(line), flush=True)


def make_camera(fps: float) -> Source:
    """Give frames at a steady rate, whether or not they are taken."""
    images = [draw_scene(1, index, height=480, width=640).image for index in range(DRAWN)]
    stopped = threading.Event()

    def give() -> Iterator[Captured]:
        begun = time.perf_counter()
        for index in count():
            if stopped.wait(max(0.0, begun + index / fps - time.perf_counter())):
                return
            now = time.perf_counter()
            image = images[index % DRAWN]
            yield Captured(index=index, name=str(index), time_s=now - begun, at=now, image=image)

    return Source(name="camera", frames=give(), fps=fps, length=None, live=True, stop=stopped.set)


@contextmanager
def burden(processes: int, *, after_s: float, for_s: float) -> Iterator[None]:
    """Keep so many processes busy for some time while the block runs."""
    busy: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        busy.extend(
            subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
        )

    def end() -> None:
        while busy:
            process = busy.pop()
            process.kill()
            process.wait()

    timers = [threading.Timer(after_s, begin), threading.Timer(after_s + for_s, end)]
    for timer in timers:
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        end()


if __name__ == "__main__":
    run_script(main)
