"""Engines race two at a time, however many there are, and all times count from one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.runtime.backends.backend import Backend
from edgeseg.runtime.proving import build as build_module
from edgeseg.runtime.proving import race as race_module
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.race import Entrant, Race
from edgeseg.runtime.timing import alternate

NAMES = ("fp32", "a", "b", "c")

Found = Mapping[str, float | str]
Enter = Callable[[str], None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Race, Enter, list[str]]]:
    """A race whose times are given, race by race, and the engines that it closed."""

    def start(*found: Found) -> tuple[Race, Enter, list[str]]:
        left: Iterator[Found] = iter(found)
        monkeypatch.setattr(race_module, "time_frames", lambda *_: next(left))
        closed: list[str] = []
        race = Race(SimpleNamespace())  # type: ignore[arg-type]  # no frame is read from it

        def enter(title: str) -> None:
            resources = ExitStack()
            resources.callback(closed.append, title)
            engine: Backend = SimpleNamespace()  # type: ignore[assignment]  # nothing runs on it
            race.admit(Entrant(title=title, backend=engine, lane=None, resources=resources))

        return race, enter, closed

    return start


def test_all_times_count_from_the_first(pretend) -> None:
    """The machine is half as fast in the second race, which says nothing of the engines."""
    race, enter, closed = pretend({"a": 10.0, "b": 8.0}, {"b": 16.0, "c": 12.0})
    with closing(race):
        enter("a")
        enter("b")
        assert closed == ["a"]
        enter("c")
        assert closed == ["a", "b"]
        race.finish()
    assert closed == ["a", "b", "c"]
    assert race.times == {"a": 10.0, "b": 8.0, "c": 6.0}


def test_the_slower_one_is_closed_at_once(pretend) -> None:
    race, enter, closed = pretend({"a": 10.0, "b": 11.0})
    with closing(race):
        enter("a")
        enter("b")
        assert closed == ["b"]


@pytest.mark.parametrize(
    ("found", "closed_first"),
    [
        ({"a": "out of memory", "b": 8.0}, "a"),
        ({"a": 10.0, "b": "out of memory"}, "b"),
    ],
)
def test_one_that_fails_is_out(pretend, found: Found, closed_first: str) -> None:
    race, enter, closed = pretend(found, {"a": 1.0, "b": 1.0})
    with closing(race):
        enter("a")
        enter("b")
        assert closed == [closed_first]
    assert race.faults == {name: why for name, why in found.items() if isinstance(why, str)}
    assert race.times == {name: ms for name, ms in found.items() if not isinstance(ms, str)}


def test_after_two_that_fail_the_next_one_races_alone(pretend) -> None:
    failed = {"a": "out of memory", "b": "out of memory"}
    race, enter, closed = pretend(failed, {"c": 5.0})
    with closing(race):
        for name in "abc":
            enter(name)
        assert closed == ["a", "b"]
        race.finish()
    assert race.times == {"c": 5.0}
    assert race.faults == failed


def test_times_still_count_from_the_first_when_the_fastest_fails(pretend) -> None:
    """The machine is half as fast from the second race on."""
    second, third = {"b": 16.0, "c": 12.0}, {"c": "out of memory", "d": 20.0}
    race, enter, _ = pretend({"a": 10.0, "b": 8.0}, second, third)
    with closing(race):
        for name in "abcd":
            enter(name)
    assert race.times == {"a": 10.0, "b": 8.0, "d": 10.0}
    assert race.faults == {"c": "out of memory"}


def test_one_alone_is_timed_at_the_end(pretend) -> None:
    race, enter, _ = pretend({"a": 10.0})
    with closing(race):
        enter("a")
        assert race.times == {}
        race.finish()
    assert race.times == {"a": 10.0}


def test_a_race_that_breaks_off_closes_both(pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    race, enter, closed = pretend()
    monkeypatch.setattr(race_module, "time_frames", stop)
    with pytest.raises(KeyboardInterrupt), closing(race):
        enter("a")
        enter("b")
    assert sorted(closed) == ["a", "b"]


def test_it_ends_early_where_one_is_clearly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("edgeseg.runtime.timing.ROUNDS", 20)
    monkeypatch.setattr("edgeseg.runtime.timing.time.sleep", lambda _: None)
    monkeypatch.setattr("edgeseg.runtime.timing.time.perf_counter", lambda: clock[0])

    def take(*milliseconds: float) -> Callable[[], None]:
        rest = iter(milliseconds * 99)

        def work() -> None:
            clock[0] += next(rest) / 1e3

        return work

    clear = race_module._is_clear
    rounds = alternate({"a": take(5), "b": take(9)}, is_clear=clear)
    assert {name: len(row) for name, row in rounds.items()} == {"a": 5, "b": 5}
    mixed = alternate({"a": take(5, 10), "b": take(9)}, is_clear=clear)
    assert {name: len(row) for name, row in mixed.items()} == {"a": 20, "b": 20}
    alone = alternate({"a": take(5)}, is_clear=clear)
    assert len(alone["a"]) == 20


def test_no_more_than_two_engines_are_open(
    seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle = with_variants(seeded_bundle)
    opened, most = set(), []
    open_backend = build_module.open_backend

    def watch(bundle: Bundle, **options) -> Backend:
        backend = open_backend(bundle, **options)
        close = backend.close

        def note() -> None:
            opened.discard(id(backend))
            close()

        backend.close = note
        opened.add(id(backend))
        most.append(len(opened))
        return backend

    monkeypatch.setattr(build_module, "open_backend", watch)
    built = build(bundle)
    assert {one.variant for one in built} == set(NAMES)
    assert all(one.latency_ms for one in built)
    assert most == [1, 2, 2, 2]
    assert not opened


def with_variants(seeded: Bundle) -> Bundle:
    """The same file under four names."""
    (fp32,) = seeded.manifest.variants
    golden = (
        msgspec.structs.replace(one, agreement=dict.fromkeys(NAMES, one.agreement["fp32"]))
        for one in seeded.manifest.golden
    )
    variants = tuple(msgspec.structs.replace(fp32, name=name) for name in NAMES)
    manifest = msgspec.structs.replace(seeded.manifest, variants=variants, golden=tuple(golden))
    return replace(seeded, manifest=manifest)
