"""Workers and a scheduler on hosts of their own, and a network between them that is cut."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from dask_cluster import dask_cluster
from hosts import Host, hosts

from edgeseg.bundle import Bundle

pytestmark = pytest.mark.long  # it is for the network to find out, which takes its time

COUNTS = ("confusion", "reference_confusion", "agreement_confusion", "per_image", "corruptions")
SOONER = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}  # instead of 30; Dask takes no less


@pytest.fixture
def command(seeded_bundle: Bundle, damaged: Bundle, street: Path) -> list[str]:
    """Of what takes a while: ten images, clean and in 75 ways corrupted."""
    return [
        sys.executable, "-m", "edgeseg", "verify", str(damaged.folder), "--data", str(street),
        "--split", "test", "--reference", str(seeded_bundle.folder), "--threads", "1",
        "--corruptions", "all",
    ]  # fmt: skip


def told(command: Sequence[str], folder: Path, *, cut: Host, status: int) -> list[str]:
    """The lines of a command, amid which a host is cut off."""
    lines = []
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stderr:
            lines.append(line.strip())
            if line.startswith("cluster "):
                with pytest.raises(subprocess.TimeoutExpired):
                    run.wait(6)
                cut.unplug()
    assert run.returncode == status
    return lines


def counts(folder: Path) -> dict[str, object]:
    report = json.loads((folder / "report.json").read_text("utf-8"))
    return {name: report[name] for name in COUNTS}


def test_a_workers_host_costs_its_shares_alone(command: list[str], tmp_path: Path) -> None:
    with (
        hosts(3) as (here, stays, goes),
        dask_cluster(
            tmp_path, host=here.address, environment=SOONER, prefix=here.prefix
        ) as cluster,
    ):
        cluster.add("stays", prefix=stays.prefix)
        cluster.add("goes", prefix=goes.prefix)
        shared = [*here.prefix, *command, "--dask", cluster.address, "--report", "shared"]
        lines = told(shared, tmp_path, cut=goes, status=3)
    assert f"cluster {cluster.address}: 2 workers" in lines
    assert [line for line in lines if line.startswith(f"worker tcp://{goes.address}:")]
    assert not [line for line in lines if line.startswith(f"worker tcp://{stays.address}:")]
    subprocess.run([*command, "--report", "alone"], cwd=tmp_path, check=False)
    assert counts(tmp_path / "shared") == counts(tmp_path / "alone")


def test_the_schedulers_host_ends_it_in_a_line(command: list[str], tmp_path: Path) -> None:
    with (
        hosts(3) as (here, there, works),
        dask_cluster(tmp_path, host=there.address, prefix=there.prefix) as cluster,
    ):
        cluster.add("works", prefix=works.prefix)
        shared = [*here.prefix, *command, "--dask", cluster.address, "--report", "shared"]
        lines = told(shared, tmp_path, cut=there, status=1)
    assert lines[-1].startswith("edgeseg: the Dask scheduler was lost: ")
    assert not (tmp_path / "shared").exists()
