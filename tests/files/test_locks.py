from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from conftest import ROOT

from edgeseg.bundle.staging import new_bundle, seal_bundle
from edgeseg.bundle.store import Bundle
from edgeseg.errors import BundleError, BusyError
from edgeseg.files.locks import hold_lock, name_lock_beside, name_lock_in


def in_another_process(lock: Path, ending: str) -> subprocess.Popen[str]:
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from edgeseg.files.locks import hold_lock
        with hold_lock(Path({str(lock)!r}), "x"):
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
    lock = name_lock_beside(tmp_path / "o.mp4")
    with in_another_process(lock, "sys.stdin.read()") as process:
        told = rf"^o is being written by process {process.pid}; "
        with pytest.raises(BusyError, match=told), hold_lock(lock, "o"):
            pass
        process.communicate("")
    with hold_lock(lock, "o") as held:
        assert held.alone
        assert not held.left_behind
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_told_apart(tmp_path: Path) -> None:
    lock = name_lock_beside(tmp_path / "o.mp4")
    in_another_process(lock, "os.kill(os.getpid(), signal.SIGKILL)").communicate()
    assert lock.exists()
    with hold_lock(lock, "o") as held:
        assert held.left_behind
    assert not lock.exists()


def test_folders_made_for_a_lock_go_with_it_unless_they_hold_something(tmp_path: Path) -> None:
    with hold_lock(name_lock_beside(tmp_path / "a" / "b" / "o"), "o"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with hold_lock(name_lock_beside(tmp_path / "a" / "b" / "o"), "o"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "kept"]


def test_a_file_system_without_locks_is_told_and_written_to(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    args = ["--frames", 1, "--save", "o.mp4", "--jsonl", "o.jsonl"]
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "demo", *args)
    assert outcome.status == 0, outcome.err
    assert outcome.err.count(f"{tmp_path} takes no locks: ") == 1
    with new_bundle(tmp_path / "street") as staging:
        told = f"another process writes {re.escape(str(staging))}, or a killed one left it"
        with pytest.raises(BundleError, match=told), new_bundle(tmp_path / "street"):
            pass
        shutil.copytree(seeded_bundle.folder, staging, dirs_exist_ok=True)
        seal_bundle(staging, seeded_bundle.manifest)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["o.jsonl", "o.mp4", "street"]


def test_many_who_wait_hold_it_one_at_a_time(tmp_path: Path) -> None:
    """Each removes the lock's file at its end, so that those who wait hold one without a name."""
    lock, inside, most = name_lock_beside(tmp_path / "deep" / "o"), [], []

    def take() -> None:
        for _ in range(25):
            with hold_lock(lock, "o", wait=lambda _holder: None):
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


def test_a_clone_ignores_what_a_killed_export_leaves(tmp_path: Path) -> None:
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    with pytest.raises(KeyboardInterrupt), new_bundle(tmp_path / "street") as staging:
        (staging / "model.onnx").write_bytes(b"half")
        (tmp_path / ".street.edgeseg-old").mkdir()
        (tmp_path / ".street.edgeseg-old" / "model.onnx").write_bytes(b"whole")
        name_lock_in(tmp_path).touch()
        command = ["git", "status", "--porcelain", "--untracked-files=all"]
        listed = subprocess.check_output(command, cwd=tmp_path, text=True)
        raise KeyboardInterrupt
    assert listed == "?? .gitignore\n"
