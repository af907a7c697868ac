"""A real Dask cluster, as `docs/scale.md` starts one: a scheduler and workers in own processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edgeseg.reports.report import Report

STARTED_WITHIN_S = 60
COUNTS = ("confusion", "reference_confusion", "agreement_confusion", "per_image", "classes")


def counts(report: Report) -> dict[str, object]:
    return {name: getattr(report, name) for name in (*COUNTS, "data", "skipped", "corruptions")}


@dataclass
class DaskCluster:
    """`workers` are processes by their names."""

    address: str
    folder: Path
    scheduler: subprocess.Popen
    workers: dict[str, subprocess.Popen] = field(default_factory=dict)

    def add(
        self,
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """Start a worker that is lost for good when it is killed, and wait until it is known."""
        command = [
            *prefix, sys.executable, "-m", "dask", "worker", self.address, "--name", name,
            "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--local-directory", str(self.folder),
        ]  # fmt: skip
        self.workers[name] = _started(
            command, self.folder / f"{name}.log", "Registered to:", environment or {}
        )

    def kill(self, name: str) -> None:
        """At once, as the system does where memory is short."""
        self.signal(signal.SIGKILL, name)

    def signal(self, number: signal.Signals, *names: str) -> None:
        for name in names:
            self.workers[name].send_signal(number)


@contextmanager
def dask_cluster(
    folder: Path,
    *,
    workers: int = 0,
    host: str = "127.0.0.1",
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[DaskCluster]:
    """`prefix` before the scheduler's command: what runs it on that host."""
    address_file = folder / "scheduler.json"
    command = [
        *prefix, sys.executable, "-m", "dask", "scheduler", "--host", host, "--port", "0",
        "--no-dashboard", "--no-show", "--scheduler-file", str(address_file),
    ]  # fmt: skip
    scheduler = _started(command, folder / "scheduler.log", "Scheduler at:", environment or {})
    line = next(
        line
        for line in (folder / "scheduler.log").read_text("utf-8").splitlines()
        if "Scheduler at:" in line
    )
    cluster = DaskCluster(line.split()[-1], folder, scheduler)
    try:
        for number in range(workers):
            cluster.add(f"worker{number}")
        yield cluster
    finally:
        for process in (*cluster.workers.values(), scheduler):
            process.kill()
            process.wait()


def _started(
    command: list[str], log: Path, says: str, environment: Mapping[str, str]
) -> subprocess.Popen:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **environment},
        )
    limit = time.monotonic() + STARTED_WITHIN_S
    while says not in log.read_text("utf-8"):
        if process.poll() is not None or time.monotonic() > limit:
            process.kill()
            process.wait()
            raise RuntimeError(f"{command} did not start:\n{log.read_text('utf-8')}")
        time.sleep(0.1)
    return process
