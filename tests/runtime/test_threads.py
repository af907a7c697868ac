"""A system that gives no further thread ends a run in one line that names the remedy."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from edgeseg.errors import BackendError
from edgeseg.runtime.sources.captures.patient import PatientCapture

if TYPE_CHECKING:
    from edgeseg.bundle.store import Bundle


@pytest.fixture
def no_thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system gives no thread of the kind that the test names."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == request.param or type(thread).__name__ == request.param:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize(
    ("no_thread", "options"),
    [("edgeseg preview", ["--preview", "127.0.0.1:0"]), ("Timer", ["--seconds", "5"])],
    indirect=["no_thread"],
)
@pytest.mark.usefixtures("no_thread")
def test_a_run_without_one_of_its_threads(
    edgeseg, seeded_bundle: Bundle, options: list[str]
) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", "--frames", 1, *options)
    assert outcome.status == 1
    assert outcome.err.splitlines()[-1] == (
        "edgeseg: the system gives no further thread (can't start new thread); raise its limit "
        "(ulimit -u, or a service's TasksMax=)"
    )


@pytest.mark.parametrize("no_thread", ["edgeseg device"], indirect=True)
@pytest.mark.usefixtures("no_thread")
def test_a_camera_without_its_thread() -> None:
    with pytest.raises(BackendError, match="no further thread"):
        PatientCapture(0, lambda: None)
