"""Several sources in one run: fair turns, and one that fails leaves the others alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_parts import Recorder, frames

from edgeseg.demo import draw_scene
from edgeseg.errors import SourceError
from edgeseg.runtime.channel import Channel, Ended, Turns
from edgeseg.runtime.live.feed import Loss
from edgeseg.runtime.live.pipeline import stream
from edgeseg.runtime.live.run import Fed, Limits, run_all
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.sources import Captured, Source

NO_LIMITS = Limits()


def make_camera(name: str, *, every_s: float, until: int | None = None) -> Source:
    """A live source that gives a frame at a steady rate, and is lost after `until` frames."""
    image = draw_scene(1, 0, height=48, width=64).image

    def give() -> Iterator[Captured]:
        for index in count():
            if index == until:
                raise SourceError(f"{name} is unplugged")
            time.sleep(every_s)
            now = time.perf_counter()
            yield Captured(index=index, name=str(index), time_s=now, at=now, image=image)

    return Source(name=name, frames=give(), fps=1 / every_s, length=None, live=True)


class Late(Recorder):
    """A sink that is slower than every camera, so that all have frames waiting."""

    def write(self, result: Result, /) -> None:
        super().write(result)
        time.sleep(0.1)


def test_busy_cameras_of_different_rates_get_equal_turns(segmenter: Segmenter) -> None:
    sinks = [Late() for _ in range(4)]
    rates = (0.002, 0.004, 0.006, 0.008)
    feeds = [
        Fed(source=make_camera(f"camera {index}", every_s=rate), sinks=[sink])
        for index, (rate, sink) in enumerate(zip(rates, sinks, strict=True))
    ]
    turns: list[int] = []
    whole, parts = run_all(
        segmenter,
        feeds,
        limits=Limits(frames=60),
        on_frame=lambda result: turns.append(result.feed),
    )
    counts = [part.frames for part in parts]
    assert sum(counts) == whole.frames == len(turns) == 60
    # A camera that opens first may give several frames before the last one gives any.
    begun = max(turns.index(index) for index in range(4))
    assert begun < 20, turns
    assert all(len(set(turns[at : at + 4])) == 4 for at in range(begun + 1, 57)), turns
    assert [len(sink.indices) for sink in sinks] == counts
    for sink, part in zip(sinks, parts, strict=True):
        assert sink.indices == sorted(sink.indices)  # the newest, and never one from before
        assert part.dropped > 0
    assert whole.dropped == sum(part.dropped for part in parts)


def test_files_lose_nothing_beside_a_camera_and_each_other(segmenter: Segmenter) -> None:
    first, second, third = Recorder(), Recorder(), Recorder()
    whole, parts = run_all(
        segmenter,
        [
            Fed(source=Source(name="a", frames=frames(9), fps=10, length=9), sinks=[first]),
            Fed(source=make_camera("c", every_s=0.005, until=30), sinks=[second]),
            Fed(source=Source(name="b", frames=frames(5), fps=10, length=5), sinks=[third]),
        ],
        limits=NO_LIMITS,
    )
    assert first.indices == list(range(9))
    assert third.indices == list(range(5))
    assert [part.lost for part in parts] == [None, "c is unplugged", None]
    assert whole.lost == "c is unplugged"
    assert whole.frames == 14 + len(second.indices)


def test_the_outputs_of_a_source_end_with_it(segmenter: Segmenter) -> None:
    short, lost, long = Recorder(), Recorder(), Recorder()
    ends: list[tuple[str, str | None, int]] = []

    def note(name: str) -> Callable[[Loss | None], None]:
        return lambda loss: ends.append((name, loss and loss.reason, len(long.indices)))

    run_all(
        segmenter,
        [
            Fed(
                source=Source(name="short", frames=frames(4), fps=10, length=4),
                sinks=[short],
                end=note("short"),
            ),
            Fed(source=make_camera("c", every_s=0.01, until=9), sinks=[lost], end=note("c")),
            Fed(
                source=Source(name="long", frames=frames(60, pause_s=0.01), fps=10, length=60),
                sinks=[long],
                end=note("long"),
            ),
        ],
        limits=NO_LIMITS,
    )
    assert {name: why for name, why, _ in ends} == {"short": None, "c": "c is unplugged"}
    assert all(seen < 60 for _, _, seen in ends)  # while the long one went on
    assert (len(short.indices), len(long.indices)) == (4, 60)


@pytest.mark.parametrize("by_time", [True, False], ids=["seconds", "stop"])
def test_an_end_that_the_run_makes_is_told_of_no_source(
    segmenter: Segmenter, *, by_time: bool
) -> None:
    """Whether by time, or by somebody who stops the run: each source ends before the run does."""
    ends: list[Loss | None] = []
    stop = threading.Event()

    def make(name: str) -> Fed:
        stopped = threading.Event()

        def give() -> Iterator[Captured]:
            yield from frames(3)
            assert stopped.wait(10)

        # The second one ends late, so that the first one's end is heard before the run ends.
        source = Source(
            name=name,
            frames=give(),
            fps=10,
            length=None,
            live=True,
            stop=lambda: (time.sleep(0.2 if name == "late" else 0), stopped.set())[0],
        )
        return Fed(source=source, end=ends.append)

    feeds = [make("first"), make("late")]
    if not by_time:

        def end() -> None:
            stop.set()
            for feed in feeds:
                feed.source.stop()

        threading.Timer(0.5, end).start()
    run_all(segmenter, feeds, limits=Limits(seconds=0.5 if by_time else None), stop=stop)
    assert ends == []


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_a_source_that_nobody_wants_is_left(segmenter: Segmenter, live: bool) -> None:
    """So its frames do not take the time of the others."""
    given, seen, other = count(), Recorder(), Recorder()
    stopped = threading.Event()
    ends: list[Loss | None] = []

    def give() -> Iterator[Captured]:
        for captured in frames(1000, pause_s=0.005):
            if stopped.is_set():
                return
            next(given)
            yield captured

    unwanted = Source(name="u", frames=give(), fps=10, length=None, live=live, stop=stopped.set)
    _, parts = run_all(
        segmenter,
        [
            Fed(
                source=unwanted,
                sinks=[seen],
                wanted=lambda: len(seen.indices) < 3,
                end=ends.append,
            ),
            Fed(source=Source(name="o", frames=frames(40), fps=10, length=40), sinks=[other]),
        ],
        limits=NO_LIMITS,
    )
    assert len(other.indices) == 40
    assert len(seen.indices) == parts[0].frames == 3
    assert stopped.is_set()
    assert next(given) < 40
    assert ends == [None]


def test_a_run_fails_where_no_source_gives_a_frame(segmenter: Segmenter) -> None:
    dead = [Fed(source=make_camera(name, every_s=0.001, until=0)) for name in ("left", "right")]
    with pytest.raises(SourceError, match="left is unplugged; right is unplugged"):
        run_all(segmenter, dead, limits=NO_LIMITS)


def test_an_error_that_is_no_loss_ends_the_run(segmenter: Segmenter) -> None:
    def break_down() -> Iterator[Captured]:
        raise RuntimeError("a bug")
        yield

    feeds = [
        Fed(source=make_camera("camera", every_s=0.001)),
        Fed(source=Source(name="odd", frames=break_down(), fps=1, length=None)),
    ]
    with pytest.raises(RuntimeError, match="a bug"):
        run_all(segmenter, feeds, limits=NO_LIMITS)


def test_each_result_tells_its_source(segmenter: Segmenter) -> None:
    sources = [Source(name=n, frames=frames(3), fps=10, length=3) for n in ("a", "b")]
    with stream(segmenter, *sources) as results:
        seen = [(result.feed, result.captured.index) for result in results]
    assert sorted(seen) == [(feed, index) for feed in (0, 1) for index in range(3)]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5))
def test_turns_give_every_item_once_and_evenly(lengths: list[int]) -> None:
    """As many items as a channel has: while all have some, no one is two ahead."""
    changed = threading.Condition()
    channels: list[Channel[tuple[int, int]]] = [Channel(12, changed=changed) for _ in lengths]
    for index, (channel, length) in enumerate(zip(channels, lengths, strict=True)):
        for item in range(length):
            channel.put((index, item))
        channel.end()
    turns = Turns(channels, changed, wait=lambda: None, on_error=lambda _index, _error: None)
    given = list(turns)
    taken = [one for one in given if not isinstance(one, Ended)]
    for index, length in enumerate(lengths):
        assert [item for source, item in taken if source == index] == list(range(length))
    common = min(lengths) * len(lengths)
    for end in range(common):
        sources = [source for source, _ in taken[:end]]
        counts = [sources.count(index) for index in range(len(lengths))]
        assert max(counts) - min(counts) <= 1
    ended = [one.index for one in given if isinstance(one, Ended)]
    assert len(ended) == len(set(ended)) == len(lengths) - 1  # the last one's end is the end of all
    for index in ended:
        after = given[given.index(Ended(index)) + 1 :]
        assert index not in [one[0] for one in after if not isinstance(one, Ended)]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.integers(2, 4),
    st.frozensets(st.integers(0, 4)),
)
def test_several_items_are_of_the_channels_that_waited_longest(
    lengths: list[int], at_once: int, alone: frozenset[int]
) -> None:
    """Together or alone, each item comes once, in its channel's order. Some never go together."""
    changed = threading.Condition()
    channels: list[Channel[tuple[int, int]]] = [Channel(9, changed=changed) for _ in lengths]
    left, order = list(lengths), list(range(len(lengths)))
    for index, (channel, length) in enumerate(zip(channels, lengths, strict=True)):
        for item in range(length):
            channel.put((index, item))
        channel.end()
    turns = Turns(channels, changed, wait=lambda: None, on_error=lambda _index, _error: None)
    taken = []
    for one in turns:
        if isinstance(one, Ended):
            order.remove(one.index)
            continue
        more = turns.take_more(at_once - 1, fits=lambda item: item[0] not in alone)
        order.remove(one[0])
        ready = [index for index in order if left[index] and index not in alone]
        enough = len(ready) >= at_once - 1
        assert [index for index, _ in more] == (ready[: at_once - 1] if enough else [])
        # The one that was taken first waits longest from now on.
        order = [index for index in order if index not in dict(more)] + [one[0], *dict(more)]
        for index, _ in (one, *more):
            left[index] -= 1
        taken += [one, *more]
    for index, length in enumerate(lengths):
        assert [item for source, item in taken if source == index] == list(range(length))
