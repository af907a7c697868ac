"""What watching costs a run: its frames a second with a preview, against without one.

    python benchmarks/preview.py VIDEO [BUNDLE] [--rounds 5]

Runs take turns: without a preview; with one that nobody watches; with one viewer; with eight who
look alike; with eight who all want something else; with eight who read nothing. `ratio` is against
no preview, the median of the rounds.
"""

from __future__ import annotations

import argparse
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from alternating import report

from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import run_script
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.runtime.about import About
from edgeseg.runtime.legend import Legend
from edgeseg.runtime.live.run import run
from edgeseg.runtime.preview.address import Address
from edgeseg.runtime.preview.sink import PreviewSink, open_previews
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sinks.sink import Sink
from edgeseg.runtime.sources import open_source

EIGHT = range(8)


def main() -> None:
    """Print a JSON line a case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("bundle", nargs="?", type=Path, default=find_demo_bundle())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cases: dict[str, list[tuple[str, bool]] | None] = {
        "no preview": None,
        "nobody watches": [],
        "one viewer": [("", True)],
        "eight alike": [("", True) for _ in EIGHT],
        "eight different": [(f"?opacity={10 * index}", True) for index in EIGHT],
        "eight stuck": [(f"?opacity={10 * index}", False) for index in EIGHT],
    }
    with Segmenter(open_bundle(options.bundle)) as segmenter:
        measured: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(options.rounds):
            for name, viewers in cases.items():
                measured[name].append(measure_fps(segmenter, options.video, viewers))
        alone = np.array(measured["no preview"])
        for name, values in measured.items():
            ratios = np.array(values) / alone
            report(
                "preview",
                case=name,
                engine=segmenter.backend.name,
                fps=round(float(np.median(values)), 2),
                ratio=round(float(np.median(ratios)), 3),
                lowest=round(float(ratios.min()), 3),
                rounds=len(values),
            )


def measure_fps(segmenter: Segmenter, video: str, viewers: list[tuple[str, bool]] | None) -> float:
    """Frames a second of one run."""
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if viewers is not None:
            sink = stack.enter_context(preview(segmenter))
            sinks.append(sink)
            for query, reads in viewers:
                stack.callback(watch(sink, query, reads=reads))
        source = stack.enter_context(open_source(video))
        return run(segmenter, source, sinks).fps


@contextmanager
def preview(segmenter: Segmenter) -> Iterator[PreviewSink]:
    """A preview on a free port."""
    about = About(
        bundle="",
        engine="",
        precision="",
        source="",
        legend=Legend.of(segmenter.bundle.manifest.labels),
        fps=10,
        live=False,
    )
    (sink,) = open_previews(Address(host="127.0.0.1", port=0), [about])
    try:
        yield sink
    finally:
        sink.finish()


def watch(sink: PreviewSink, query: str, *, reads: bool) -> Callable[[], None]:
    """Connect a viewer who reads all the time, or never; gives what disconnects it."""
    host, _, port = sink.url.removeprefix("http://").rstrip("/").partition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"GET /stream{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    def read() -> None:
        while connection.recv(1 << 16):
            pass

    def leave() -> None:
        with suppress(OSError):  # the server may have gone first
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    if reads:
        threading.Thread(target=read, daemon=True).start()
    return leave


if __name__ == "__main__":
    run_script(main)
