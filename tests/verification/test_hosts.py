"""Workers and a scheduler on hosts of their own, and a network between them that is cut."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dask_cluster import DaskCluster, dask_cluster
from hosts import Host, hosts

from edgeseg.bundle.store import Bundle
from edgeseg.reports.report import read_report
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify

pytestmark = pytest.mark.long  # it is for the network to find out, which takes its time

COUNTS = ("confusion", "reference_confusion", "agreement_confusion", "per_image")
SOONER = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}  # instead of 30; Dask takes no less

# Waits for a line after the first share.
MEASURING = """
import sys
from pathlib import Path
from edgeseg.errors import ClusterError
from edgeseg.progress import Progress
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify

def say(line):
    print(line, flush=True)

def phase(title, done, *_):
    if done == 1:
        say("one image is counted")
        sys.stdin.readline()

source, reference, data, address, report = sys.argv[1:]
asked = VerifyRequest(
    source=source, reference=reference, data=data, split="test", threads=1, dask=address,
    report=Path(report),
)
try:
    verify(asked, progress=Progress(say=say, phase=phase))
except ClusterError as error:
    say(error)
    sys.exit(1)
"""


@contextmanager
def two_workers(folder: Path, scheduler: Host, workers: tuple[Host, Host]) -> Iterator[DaskCluster]:
    with dask_cluster(
        folder, host=scheduler.address, environment=SOONER, prefix=scheduler.prefix
    ) as cluster:
        for number, worker in enumerate(workers):
            cluster.add(f"worker{number}", prefix=worker.prefix)
        yield cluster


def told(here: Host, arguments: list[str], *, cut: Host, status: int) -> list[str]:
    """What a command says that is measuring while a host is cut off."""
    command = [*here.prefix, sys.executable, "-c", MEASURING, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line == "one image is counted\n":
                time.sleep(2)  # so that the host holds shares that are counted and not fetched
                cut.unplug()
                process.stdin.write("\n")
                process.stdin.flush()
    assert process.returncode == status
    return lines


def test_a_workers_host_costs_its_shares_alone(
    seeded_bundle: Bundle, damaged: Bundle, street: Path, tmp_path: Path
) -> None:
    source, reference = str(damaged.folder), str(seeded_bundle.folder)
    with (
        hosts(3) as (here, stays, goes),
        two_workers(tmp_path, here, (stays, goes)) as cluster,
    ):
        arguments = [source, reference, str(street), cluster.address, str(tmp_path / "shared")]
        lines = told(here, arguments, cut=goes, status=0)
    assert f"cluster {cluster.address}: 2 workers" in lines
    lost = [line for line in lines if line.endswith("was lost; its shares are counted again")]
    assert [line.startswith(f"worker tcp://{goes.address}:") for line in lost] == [True]
    shared = read_report(tmp_path / "shared" / "report.json")
    alone = verify(
        VerifyRequest(source=source, reference=reference, data=str(street), split="test", threads=1)
    )
    assert [getattr(shared, name) for name in COUNTS] == [getattr(alone, name) for name in COUNTS]


def test_the_schedulers_host_ends_it_in_a_line(
    seeded_bundle: Bundle, damaged: Bundle, street: Path, tmp_path: Path
) -> None:
    with (
        hosts(4) as (here, there, *workers),
        two_workers(tmp_path, there, tuple(workers)) as cluster,
    ):
        arguments = [
            str(damaged.folder), str(seeded_bundle.folder), str(street), cluster.address,
            str(tmp_path / "shared"),
        ]  # fmt: skip
        lines = told(here, arguments, cut=there, status=1)
    assert lines[-1].startswith("the Dask scheduler was lost: ")
    assert not (tmp_path / "shared").exists()
