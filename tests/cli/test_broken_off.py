"""Signals and full disks leave one line, and nothing half-written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeseg.bundle.store import Bundle


@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_stopped_export_leaves_nothing(
    checkpoint_folder: Path, tmp_path: Path, number: signal.Signals, says: str
) -> None:
    # A large input, so that the export is still at work when it hears the signal.
    args = ("export", "--weights", str(checkpoint_folder), "--size", "1024x1024")
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeseg", *args],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    with process.stderr as lines:
        next(line for line in lines if "graph written" in line)
        process.send_signal(number)
        said = lines.read()
    assert process.wait(timeout=60) == 128 + number
    assert said.endswith(f"edgeseg: {says}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_amid_a_destructor_is_not_forgotten(number: signal.Signals, says: str) -> None:
    """Python tells of what is raised there and goes on. Dask's Future has one, for each share."""
    program = f"""
import os, signal, sys, time
from edgeseg.cli import main as cli

class Held:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        time.sleep(1)

@cli.app.command("stuck")
def stuck() -> None:
    held = Held()
    del held
    time.sleep(30)

sys.argv = ["edgeseg", "stuck"]
cli.main()
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (result.returncode, result.stderr) == (128 + number, f"edgeseg: {says}\n")


@pytest.mark.parametrize(
    "output",
    [["--save", "o.mp4"], ["--masks", "m"], ["--jsonl", "o.jsonl"]],
    ids=lambda output: output[1],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    seeded_bundle: Bundle, tmp_path: Path, output: list[str]
) -> None:
    """No file may grow beyond 2000 bytes: what a full disk does to a writer."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--frames", "30", *output]
    result = _subprocess(args, cwd=tmp_path, preexec_fn=limit)
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if line.startswith("edgeseg: ")]
    assert len(lines) == 1
    assert output[1] in lines[0]
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_one_output_and_the_others_go_on(
    seeded_bundle: Bundle, tmp_path: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    outputs = ["--save", "o.mp4", "--masks", "m", "--jsonl", "o.jsonl"]
    args = ["run", str(seeded_bundle.folder), "--source", "demo", "--frames", "30", *outputs]
    result = _subprocess(args, cwd=tmp_path, preexec_fn=limit)
    assert result.returncode == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("edgeseg: "))
    assert line == "edgeseg: o.mp4 cannot be written: File too large; the other outputs go on"
    assert "30 frames, " in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o.jsonl"]
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 30
    assert len(list((tmp_path / "m").glob("*.png"))) == 30


def _subprocess(args: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgeseg", *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
        **options,
    )
