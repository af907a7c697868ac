"""Data sets that lie at URLs, served by a real HTTP server."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import web
from dask_cluster import dask_cluster
from small import write_street

import edgeseg as package
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.errors import DatasetError, EdgesegError
from edgeseg.verification.request import VerifyRequest
from edgeseg.verification.verify import verify


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(scope="module")
def root(seeded_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_street(folder / "street", seeded_bundle, train=0, test=3, height=96, width=128)
    return folder


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[str]:
    with web.serving(partial(Quiet, directory=str(root))) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("kind", ["http", "file"])
def test_a_url_holds_what_the_folder_holds(kind: str, root: Path, served: str) -> None:
    start = served if kind == "http" else f"file://{root}"
    here = open_dataset(root / "street", split="test")
    there = open_dataset(f"{start}/street", split="test")
    assert [item.name for item in there.items] == [item.name for item in here.items]
    assert there.sha256 == here.sha256
    assert there.title == here.title == "street"
    assert there.labels == here.labels
    for one, other in zip(there, here, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.mask, other.mask)


def test_verify_counts_the_same(edgeseg, seeded_bundle: Bundle, root: Path, served: str) -> None:
    command = ["verify", seeded_bundle.folder, "--split", "test", "--json", "--data"]
    there = edgeseg(*command, f"{served}/street").json
    here = edgeseg(*command, root / "street").json
    assert there["confusion"] == here["confusion"]
    assert there["data"] == here["data"]


def test_workers_of_a_cluster_read_it_too(
    seeded_bundle: Bundle, root: Path, served: str, tmp_path: Path
) -> None:
    with dask_cluster(tmp_path, workers=2) as cluster:
        request = VerifyRequest(
            source=str(seeded_bundle.folder),
            data=f"{served}/street",
            split="test",
            dask=cluster.address,
            threads=1,
        )
        there = verify(request)
    here = package.verify(seeded_bundle.folder, data=root / "street", split="test", threads=1)
    assert there.confusion == here.confusion
    assert there.per_image == here.per_image


def test_what_is_spoiled_is_skipped_and_what_is_not_given_ends_it(
    seeded_bundle: Bundle, root: Path, tmp_path: Path
) -> None:
    """A verdict on the images that a failing server happened to give is none."""
    shutil.copytree(root / "street", tmp_path / "street")
    images = sorted((tmp_path / "street" / "test" / "images").iterdir())
    images[0].write_bytes(b"spoiled")
    refused: list[str] = []

    class Failing(Quiet):
        def do_GET(self) -> None:
            if self.path.endswith(tuple(refused)) and refused:
                self.send_error(503)
            else:
                super().do_GET()

    with web.serving(partial(Failing, directory=str(tmp_path))) as port:
        source = f"http://127.0.0.1:{port}/street"
        report = package.verify(seeded_bundle.folder, data=source, split="test")
        assert [note.name for note in report.skipped] == [images[0].stem]
        refused.append(images[1].name)
        with pytest.raises(DatasetError, match="is listed and cannot be fetched: "):
            package.verify(seeded_bundle.folder, data=source, split="test")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nonsense://x/street", "nonsense://x/street is a URL of no known kind: "),
        ("s3://bucket/street", "s3://bucket/street cannot be read: Install s3fs"),
        ("{served}/nowhere", "nowhere is no folder"),
        ("http://127.0.0.1:1/street", "http://127.0.0.1:1/street "),
    ],
)
def test_what_cannot_be_read_is_one_line(source: str, says: str, served: str) -> None:
    with pytest.raises(DatasetError) as error:
        open_dataset(source.format(served=served), split="test")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(EdgesegError, match=r"pip install 'edgeseg\[dask\]'"):
        open_dataset("s3://bucket/street")


def test_help_loads_none_of_it() -> None:
    code = (
        "import sys; import edgeseg.cli.main, edgeseg.cli.commands.verify; "
        "print([m for m in ('distributed', 'upath', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
