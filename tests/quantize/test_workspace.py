from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from edgeseg.files.locks import hold_lock, name_lock_in
from edgeseg.quantize import workspace
from edgeseg.quantize.workspace import open_workspace


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(workspace, "KEPT", 2)
    return tmp_path / "edgeseg" / "searches"


def ask(number: int) -> Path:
    with open_workspace({"question": number}, say=print) as opened:
        opened.keep("answer", number)
        time.sleep(0.01)
    return opened.folder


def test_old_workspaces_are_removed(root: Path) -> None:
    folders = [ask(number) for number in range(4)]
    assert set(root.iterdir()) == set(folders[-2:])


def test_a_workspace_that_a_living_process_works_in_stays(root: Path) -> None:
    with open_workspace({"question": 0}, say=print) as oldest:
        oldest.keep("answer", 0)
        for number in range(1, 4):
            ask(number)
        assert oldest.recall("answer") == 0
    # It was in use until now; two newer ones are kept in its place.
    newest = [ask(number) for number in (4, 5)]
    assert set(root.iterdir()) == set(newest)


def test_the_same_question_waits_and_finds_the_answer(root: Path) -> None:
    told: list[str] = []
    answers: list[object] = []

    def second() -> None:
        with open_workspace({"question": 0}, say=told.append) as opened:
            answers.append(opened.recall("answer"))

    with open_workspace({"question": 0}, say=print) as first:
        thread = threading.Thread(target=second)
        thread.start()
        while not told:
            time.sleep(0.01)
        first.keep("answer", 42)
    thread.join(timeout=10)
    assert answers == [42]
    assert told == [f"process {os.getpid()} is searching the same; waiting for what it finds"]


def test_a_workspace_that_another_process_removes_meanwhile_is_no_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        ask(number)
    listed = Path.iterdir

    def with_one_that_is_gone(path: Path):
        yield from listed(path)
        yield path / "gone"

    monkeypatch.setattr(Path, "iterdir", with_one_that_is_gone)
    assert ask(3).exists()


def test_a_search_that_is_held_by_hand_is_waited_for(root: Path) -> None:
    folder = ask(0)
    with hold_lock(name_lock_in(folder), "the search"):
        ask(1)
        ask(2)
        ask(3)
    assert (folder / "answer.json").exists()
