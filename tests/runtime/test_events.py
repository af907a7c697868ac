"""What changes midway is a line with its time, and a count."""

from __future__ import annotations

import re
import time

import pytest

from edgeseg.runtime.events import KINDS, Event, Events
from edgeseg.runtime.sources.options import Retry


def test_an_event_is_a_line_with_its_time_and_a_count() -> None:
    said: list[str] = []
    events = Events(said.append)
    assert events.counts == dict.fromkeys(KINDS, 0)
    for kind in ("lost", "back", "lost"):
        events.tell(Event(kind=kind, text=f"camera 0: {kind}"))
    assert events.counts == {**dict.fromkeys(KINDS, 0), "lost": 2, "back": 1}
    for line, kind in zip(said, ("lost", "back", "lost"), strict=True):
        stamp, text = re.fullmatch(r"(\S+ \S+) (camera 0: .*)", line).groups()
        assert abs(time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) - time.time()) < 10
        assert text == f"camera 0: {kind}"


@pytest.mark.parametrize("counts", [False, True])
def test_who_gives_no_counter_hears_the_line(*, counts: bool) -> None:
    said: list[str] = []
    told: list[Event] = []
    event = Event(kind="lost", text="camera 0: lost")
    Retry(say=said.append, tell=told.append if counts else None).report(event)
    assert (len(said), told) == ((0, [event]) if counts else (1, []))
