from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from edgeseg.errors import BusyError
from edgeseg.files import written_whole
from edgeseg.locks import lock_beside, locked


def in_another_process(lock: Path, ending: str) -> subprocess.Popen[str]:
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from edgeseg.locks import locked
        with locked(Path({str(lock)!r}), "x"):
            print("held", flush=True)
            {ending}
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_holder_is_named_and_its_end_frees_the_lock(tmp_path: Path) -> None:
    lock = lock_beside(tmp_path / "o.mp4")
    with in_another_process(lock, "sys.stdin.read()") as process:
        told = rf"^o is being written by process {process.pid}; "
        with pytest.raises(BusyError, match=told), locked(lock, "o"):
            pass
        process.communicate("")
    with locked(lock, "o") as left_behind:
        assert not left_behind
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_told_apart(tmp_path: Path) -> None:
    lock = lock_beside(tmp_path / "o.mp4")
    in_another_process(lock, "os.kill(os.getpid(), signal.SIGKILL)").communicate()
    assert lock.exists()
    with locked(lock, "o") as left_behind:
        assert left_behind
    assert not lock.exists()


def test_folders_made_for_a_lock_go_with_it_unless_they_hold_something(tmp_path: Path) -> None:
    with locked(lock_beside(tmp_path / "a" / "b" / "o"), "o"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with locked(lock_beside(tmp_path / "a" / "b" / "o"), "o"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "kept"]


def test_many_who_wait_hold_it_one_at_a_time(tmp_path: Path) -> None:
    """Each removes the lock's file at its end, so that those who wait hold one without a name."""
    lock, inside, most = lock_beside(tmp_path / "deep" / "o"), [], []

    def take() -> None:
        for _ in range(25):
            with locked(lock, "o", wait=lambda _holder: None):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert most == [1] * 100
    assert not lock.exists()


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with written_whole(path) as first:
        first.write_text("first")
        with written_whole(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    with pytest.raises(ZeroDivisionError), written_whole(path) as third:
        third.write_text("half")
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "first"


def test_a_file_with_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".png")
    with written_whole(path) as partial:
        partial.write_text("whole")
    assert path.exists()
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208  # as the system lists it
