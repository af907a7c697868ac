from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from economy import FOLDER, save_work
from host_driver import build_driver
from hypothesis import settings
from made_once import made_once

from edgeseg.bundle.store import Bundle, open_bundle

if TYPE_CHECKING:
    from outcome import Outcome

    from edgeseg.export.segformer.network import SegFormer
    from edgeseg.runtime.gpu.module import Module

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
SLOWEST = (
    *("tests/tools/test_demo.py", "tests/quantize/test_search.py", "tests/test_packaging.py"),
    *("tests/deploy/test_recover.py", "tests/recovery/"),
    *("tests/docs/", "tests/verification/test_cluster.py", "tests/sweep/", "tests/quantize/"),
)
# Of fsspec, distributed, tqdm and their executors: one for all that a process does, to its end.
LIBRARIES_THREADS = ("fsspecIO", "IO loop", "Dask-", "ThreadPoolExecutor-", "asyncio_", "tqdm_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files")
    parser.addoption("--long", action="store_true", help="run tests that take minutes")


def pytest_configure(config: pytest.Config) -> None:
    """The same examples each time: a change is judged by itself. `--long` draws new ones.

    No example has a deadline: on a busy machine any of them may take a second.

    Engines get one thread each: networks are tiny, and where several processes share the cores,
    threads that spin for each other take four times the time. What else is saved (economy.py) is
    saved in the processes that tests start, too.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = (str(FOLDER), os.environ.get("PYTHONPATH"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    save_work()
    settings.register_profile("repeatable", derandomize=True, deadline=None)
    settings.register_profile("long", deadline=None)
    settings.load_profile("long" if config.getoption("--long") else "repeatable")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slowest files come first: no process is left alone with one of them at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOWEST))
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes minutes; run `make check-long`")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """A thread that a test leaves behind works on while others run, and may crash them."""
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + 5
    left = [
        thread
        for thread in threading.enumerate()
        if thread not in before and not thread.name.startswith(LIBRARIES_THREADS)
    ]
    for thread in left:
        thread.join(max(0.0, until - time.monotonic()))
    assert not [thread for thread in left if thread.is_alive()], "this test left threads behind"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a file of tests/golden/; `--update-golden` rewrites the file."""

    def check(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, "utf-8")
        assert text == path.read_text("utf-8")

    return check


@pytest.fixture
def edgeseg(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Runs the command line in this process, in an empty working folder."""
    from outcome import Outcome

    from edgeseg.cli.main import run_command

    monkeypatch.chdir(tmp_path)

    def call(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["edgeseg", *map(str, args)])
        capsys.readouterr()
        try:
            run_command()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return Outcome(status=status, out=captured.out, err=captured.err)

    return call


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real weights, images and video, which are not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("../shared (real weights, data and video) is absent")
    return SHARED


@pytest.fixture(scope="session")
def has_rtsp() -> None:
    from rtsp import has_rtsp

    if not has_rtsp():
        pytest.skip("gir1.2-gst-rtsp-server-1.0 is absent; run tools/install-system-packages.sh")


@pytest.fixture(scope="session")
def camvid_weights(shared: Path) -> Path:
    return shared / "weights" / "segformer_b0_camvid"


@pytest.fixture(scope="session")
def camvid(shared: Path) -> Path:
    return shared / "data" / "camvid"


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once in a run of tests, whatever number of processes runs them."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def checkpoint_folder(common: Path) -> Path:
    """A slim SegFormer with CamVid's 11 classes and a 96x128 input, in Hugging Face's form."""

    def make(folder: Path) -> None:
        from seeded import slim_model

        write_seeded(folder / "seeded", slim_model(classes=11))

    return made_once(common / "checkpoint", make) / "seeded"


@pytest.fixture(scope="session")
def b0_checkpoint(common: Path) -> Path:
    """As `checkpoint_folder`, a B0: where its name or its size counts."""

    def make(folder: Path) -> None:
        from seeded import model_spec, seeded_model

        write_seeded(folder / "seeded_b0", seeded_model(model_spec("b0", classes=11)))

    return made_once(common / "b0_checkpoint", make) / "seeded_b0"


def write_seeded(folder: Path, model: SegFormer) -> None:
    from edgeseg.export.segformer.huggingface import write_huggingface
    from edgeseg.labels import get_known_labels
    from edgeseg.spec import InputSpec

    labels = get_known_labels("camvid")
    write_huggingface(folder, model, labels=labels, spec=InputSpec(height=96, width=128))


@pytest.fixture(scope="session")
def seeded_bundle(checkpoint_folder: Path, common: Path) -> Bundle:
    """The seeded checkpoint, exported. Tests that change it work on a copy."""

    def make(folder: Path) -> None:
        from edgeseg.deploy.export import export_bundle
        from edgeseg.deploy.request import ExportRequest

        request = ExportRequest(
            weights=str(checkpoint_folder), target="onnxruntime", folder=folder / "seeded"
        )
        export_bundle(request)

    return open_bundle(made_once(common / "bundles", make) / "seeded")


@pytest.fixture(scope="session")
def sized_bundle(checkpoint_folder: Path, common: Path) -> Bundle:
    """The seeded checkpoint, exported for 96x128 and 48x64. Tests that change it copy it."""

    def make(folder: Path) -> None:
        from edgeseg.deploy.export import export_bundle
        from edgeseg.deploy.request import ExportRequest

        request = ExportRequest(
            weights=str(checkpoint_folder), target="onnxruntime", folder=folder / "sized",
            size=(96, 128), further_sizes=((48, 64),),
        )  # fmt: skip
        export_bundle(request)

    return open_bundle(made_once(common / "sized", make) / "sized")


@pytest.fixture(scope="session")
def street(seeded_bundle: Bundle, common: Path) -> Path:
    """Twelve scenes to calibrate on and ten to measure, as large as the network's input."""

    def make(folder: Path) -> None:
        from small import write_street

        write_street(folder / "street", seeded_bundle)

    return made_once(common / "street", make) / "street"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def host_driver(common: Path) -> str:
    """CUDA's driver with the kernels, for the host."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++, which compiles the kernels for the host")
    return str(made_once(common / "kernels", build_driver) / "libcuda.so")


@pytest.fixture(scope="session")
def module(host_driver: str) -> Iterator[Module]:
    """The kernels, compiled for the host."""
    from edgeseg.runtime.gpu import module as modules

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "_LIBRARIES", (host_driver,))
        kernels = modules.Module(b"for the host")
    yield kernels
    kernels.close()
