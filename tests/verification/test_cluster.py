from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dask_cluster import DaskCluster, counts, dask_cluster

from edgeseg.errors import ClusterError, MissingPackageError
from edgeseg.progress import Progress
from edgeseg.verification.measuring import Pair
from edgeseg.verification.opening import open_model
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify
from edgeseg.verification.worker import Work, collect_facts, count_share


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster"), workers=3) as started:
        yield started


def test_three_workers_count_what_one_process_counts(
    asked: VerifyRequest, cluster: DaskCluster
) -> None:
    alone = verify(asked)
    phases: list[tuple[str, int, int]] = []
    lines: list[str] = []
    progress = Progress(say=lines.append, phase=lambda *phase: phases.append(phase[:3]))
    shared = verify(replace(asked, dask=cluster.address), progress=progress)
    assert counts(shared) == counts(alone)
    assert shared.drop == alone.drop
    assert sum(shared.workers.values()) == 3
    assert not alone.workers
    assert "opening the models on the workers" in {name for name, _, _ in phases}
    measured = [(done, total) for name, done, total in phases if name == "measuring"]
    assert (measured[0], measured[-1]) == ((0, 10), (10, 10))
    assert measured == sorted(measured)
    assert f"cluster {cluster.address}: 3 workers" in lines


def test_corruptions_are_the_same_everywhere(asked: VerifyRequest, cluster: DaskCluster) -> None:
    noisy = replace(asked, corruptions=("gaussian_noise",))
    alone = verify(noisy)
    assert len(alone.corruptions) == 5
    assert counts(verify(replace(noisy, dask=cluster.address))) == counts(alone)


def test_images_that_cannot_be_read_are_named_as_in_one_process(
    asked: VerifyRequest, cluster: DaskCluster, street: Path, tmp_path: Path
) -> None:
    shutil.copytree(street, tmp_path / "street")
    images = sorted((tmp_path / "street" / "test" / "images").iterdir())
    for image in (images[0], images[4]):
        image.write_bytes(b"")
    (tmp_path / "street" / "test" / "masks" / f"{images[6].stem}.png").unlink()
    spoiled = replace(asked, data=str(tmp_path / "street"))
    alone = verify(spoiled)
    assert [note.name for note in alone.skipped] == [images[6].stem, images[0].stem, images[4].stem]
    shared = replace(spoiled, dask=cluster.address)
    assert counts(verify(shared)) == counts(alone)
    with pytest.raises(Exception, match="--strict: images or masks without the other: 1"):
        verify(replace(shared, strict=True))


def test_relative_paths_are_of_the_command_not_of_the_workers(
    asked: VerifyRequest, cluster: DaskCluster, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(street.parent)
    bundle = os.path.relpath(asked.source)
    shared = replace(asked, source=bundle, data="street", dask=cluster.address)
    assert verify(shared).images == 10


def test_a_worker_with_another_version_is_refused_by_name(
    asked: VerifyRequest, tmp_path: Path
) -> None:
    """Another release of NumPy first on its path, as far as its metadata tell."""
    info = tmp_path / "other" / "numpy-1.0.7.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0.7\n")
    with dask_cluster(tmp_path, workers=1) as cluster:
        cluster.add("odd", environment={"PYTHONPATH": str(info.parent)})
        with pytest.raises(ClusterError) as error:
            verify(replace(asked, dask=cluster.address))
    message = str(error.value)
    assert message.startswith("worker tcp://127.0.0.1:")
    assert "cannot take part: on " in message
    assert "numpy is 1.0.7, and " in message
    assert "install the same versions" in message


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: no worker can have fewer")
def test_another_number_of_engine_threads_is_refused(asked: VerifyRequest, tmp_path: Path) -> None:
    first = str(min(os.sched_getaffinity(0)))
    with dask_cluster(tmp_path) as cluster:
        cluster.add("small", prefix=("taskset", "--cpu-list", first))
        with pytest.raises(ClusterError) as error:
            verify(replace(asked, threads=None, dask=cluster.address))
        assert verify(replace(asked, dask=cluster.address)).images == 10
    assert "candidate engine threads is 1, and " in str(error.value)
    assert str(error.value).endswith("give --threads N")


@pytest.mark.parametrize(
    ("fact", "says"),
    [
        ("candidate sha256", "candidate sha256 is "),
        ("reference engine", "reference engine is onnxruntime "),
        ("edgeseg", "edgeseg is "),
        ("code", "edgeseg's code is "),
        ("image", "sha256 of image 100 is "),
    ],
)
def test_each_fact_that_differs_is_named(
    asked: VerifyRequest, fact: str, says: str, street: Path
) -> None:
    from edgeseg.datasets import open_dataset

    assert asked.reference is not None
    pair = Pair(
        candidate=open_model(asked.source, threads=1),
        reference=open_model(asked.reference, threads=1),
        protocol="ss",
    )
    first = open_dataset(street, split="test").items[0]
    expected = collect_facts(pair, first)
    name = next(key for key in expected if fact in key)
    work = Work(
        key="a",
        candidate=pair.candidate.address,
        reference=None if pair.reference is None else pair.reference.address,
        protocol="ss",
        strict=False,
        first=first,
        expected={**expected, name: "something else"},
    )
    with pytest.raises(ClusterError) as error:
        count_share(work, (), None)
    assert says in str(error.value)
    assert "and something else where the command runs" in str(error.value)
    assert count_share(replace(work, key="b", expected=expected), (), None).hashes == ()


def test_a_cluster_that_is_not_there_is_told_in_a_line(
    edgeseg, asked: VerifyRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.verification.cluster.CONNECT_S", 1)
    words = ["verify", asked.source, "--data", asked.data, "--split", "test", "--dask"]
    outcome = edgeseg(*words, "tcp://127.0.0.1:1")
    assert outcome.status == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:1: " in outcome.err
    for address in ("nonsense://x", "tls://127.0.0.1:1", "tcp://127.0.0.1:99999", "tcp://", " "):
        outcome = edgeseg(*words, address)
        assert outcome.status == 1
        assert outcome.err.count("\n") == 1
        assert "no Dask scheduler answers at " in outcome.err
    with socket.create_server(("127.0.0.1", 0)) as silent:  # as another service's port
        outcome = edgeseg(*words, f"tcp://127.0.0.1:{silent.getsockname()[1]}")
    assert outcome.status == 1
    assert "no Dask scheduler answers at " in outcome.err
    with dask_cluster(tmp_path) as empty:
        outcome = edgeseg(*words, empty.address)
    assert outcome.status == 1
    assert f"the Dask scheduler at {empty.address} has no workers; start some" in outcome.err


def test_an_interrupt_ends_it_at_once_and_leaves_the_workers(
    asked: VerifyRequest, tmp_path: Path, cluster: DaskCluster
) -> None:
    command = [
        sys.executable, "-m", "edgeseg", "verify", asked.source, "--data", str(asked.data),
        "--split", "test", "--threads", "1", "--corruptions", "all", "--dask", cluster.address,
        "--report", str(tmp_path / "r"),
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's job in the background has it ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        first = process.stderr.readline()
        time.sleep(2)  # until it counts
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        assert process.wait(30) == 128 + signal.SIGINT
    assert (first, told) == (f"cluster {cluster.address}: 3 workers\n", "edgeseg: interrupted\n")
    assert not (tmp_path / "r").exists()
    assert verify(replace(asked, dask=cluster.address)).images == 10


@pytest.mark.parametrize("raised", [PermissionError(13, "denied", "/nfs/x"), RuntimeError("a\nb")])
def test_whatever_a_worker_meets_is_told_as_its_own(
    asked: VerifyRequest, raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_args: object, **_more: object) -> None:
        raise raised

    monkeypatch.setattr("edgeseg.verification.worker.measure_share", failing)
    monkeypatch.setattr("edgeseg.verification.worker._ENGINES.open_pair", lambda _work: None)
    work = Work(
        key="x",
        candidate=None,
        reference=None,
        protocol="ss",
        strict=False,
        first=None,
        expected={},
    )
    with pytest.raises(ClusterError, match=f"^on .*: {type(raised).__name__}: "):
        count_share(work, (), None)


def test_what_a_worker_raises_arrives_whole() -> None:
    """Dask sends errors as pickles; this one has an __init__ of its own."""
    import pickle

    error = MissingPackageError("cv2", purpose="--protocol keep", command="pip install x")
    again = pickle.loads(pickle.dumps(error))  # our own
    assert type(again) is MissingPackageError
    assert str(again) == str(error)
