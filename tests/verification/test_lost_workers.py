"""Workers and schedulers that are lost while a cluster counts."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dask_cluster import counts, dask_cluster
from previews import until

from edgeseg.errors import ClusterError
from edgeseg.progress import Progress
from edgeseg.verification import cluster as cluster_module
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify

if TYPE_CHECKING:
    from distributed import Future


def test_a_killed_workers_share_is_counted_again(
    asked: VerifyRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even the share that is done, if its worker is killed just before it is fetched."""
    alone = verify(asked)
    lines: list[str] = []
    measured: list[int] = []
    killed: list[str] = []
    find_failure = cluster_module._to_failure

    def note(name: str, done: int, *_: object) -> None:
        measured.extend([done] if name == "measuring" and done else [])

    with dask_cluster(tmp_path, workers=3) as cluster:

        def kill_holder(future: Future) -> BaseException | None:
            if measured and not killed:
                (address, *_) = future.client.who_has([future])[future.key]
                killed.append(future.client.scheduler_info()["workers"][address]["name"])
                others = cluster.workers.keys() - set(killed)
                cluster.signal(signal.SIGSTOP, *others)  # none counts it again at once
                cluster.kill(killed[0])
                until(lambda: future.status == "lost", "the share to be lost")
                cluster.signal(signal.SIGCONT, *others)
            return find_failure(future)

        monkeypatch.setattr(cluster_module, "_to_failure", kill_holder)
        progress = Progress(say=lines.append, phase=note)
        shared = verify(replace(asked, dask=cluster.address), progress=progress)
        assert cluster.workers[killed[0]].wait(10) == -9
    assert counts(shared) == counts(alone)
    assert [line for line in lines if "was lost; its shares are counted again" in line]


@pytest.mark.long
def test_workers_that_all_die_end_it(
    asked: VerifyRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.verification.cluster.PATIENCE_S", 3)
    with dask_cluster(tmp_path, workers=1) as cluster:
        progress = Progress(phase=lambda _name, done, *_: done and cluster.kill("worker0"))
        with pytest.raises(ClusterError, match="has had no worker for 3 seconds"):
            verify(replace(asked, dask=cluster.address), progress=progress)


def test_a_scheduler_that_dies_ends_it(asked: VerifyRequest, tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=1) as cluster:
        progress = Progress(phase=lambda _name, done, *_: done and cluster.scheduler.kill())
        with pytest.raises(ClusterError, match="the Dask scheduler was lost"):
            verify(replace(asked, dask=cluster.address), progress=progress)


def test_a_scheduler_that_freezes_ends_it(
    asked: VerifyRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.verification.cluster._ANSWER_S", 2)
    with dask_cluster(tmp_path, workers=1) as cluster:

        def freeze(_name: str, done: int, *_: object) -> None:
            if done:
                cluster.scheduler.send_signal(signal.SIGSTOP)

        with pytest.raises(ClusterError, match="the Dask scheduler was lost"):
            verify(replace(asked, dask=cluster.address), progress=Progress(phase=freeze))


@pytest.mark.long
def test_a_scheduler_that_freezes_before_a_share_is_fetched_ends_it(
    asked: VerifyRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.verification.cluster._ANSWER_S", 2)
    with dask_cluster(tmp_path, workers=1) as cluster:

        def freeze(_name: str, done: int, *_: object) -> None:
            if done == 2:  # a share has two images
                time.sleep(3)  # until the next two shares have been counted, and are known to be
            if done == 4:
                cluster.scheduler.send_signal(signal.SIGSTOP)

        with pytest.raises(ClusterError, match="the Dask scheduler was lost"):
            verify(replace(asked, dask=cluster.address), progress=Progress(phase=freeze))


def test_a_worker_that_comes_back_in_time_goes_on(asked: VerifyRequest, tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=1) as cluster:

        def replace_worker(_name: str, done: int, *_: object) -> None:
            if done and "second" not in cluster.workers:
                cluster.kill("worker0")
                cluster.add("second")

        progress = Progress(phase=replace_worker)
        shared = verify(replace(asked, dask=cluster.address), progress=progress)
    assert counts(shared) == counts(verify(asked))


def test_a_late_worker_that_differs_is_refused(asked: VerifyRequest, tmp_path: Path) -> None:
    info = tmp_path / "other" / "numpy-1.0.7.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0.7\n")
    with dask_cluster(tmp_path, workers=1) as cluster:

        def replace_worker(_name: str, done: int, *_: object) -> None:
            if done and "odd" not in cluster.workers:
                cluster.kill("worker0")
                cluster.add("odd", environment={"PYTHONPATH": str(info.parent)})

        with pytest.raises(ClusterError, match=r"numpy is 1\.0\.7, and "):
            verify(replace(asked, dask=cluster.address), progress=Progress(phase=replace_worker))
