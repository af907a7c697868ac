"""A bundle is written whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import plain_bundles
import pytest
from plain_bundles import plain_manifest, write_plain

from edgeseg.bundle.staging import new_bundle, seal_bundle
from edgeseg.bundle.store import open_bundle
from edgeseg.errors import BundleError, BusyError


def test_two_writers_of_one_bundle_do_not_mix(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    with new_bundle(folder) as staging:
        (staging / "model.onnx").write_bytes(b"first")
        with (
            pytest.raises(BusyError, match=f"being written by process {os.getpid()}"),
            new_bundle(folder),
        ):
            pass
        (staging / "golden").mkdir()
        (staging / "golden" / "f.png").write_bytes(b"frame")
        (staging / "golden" / "m.png").write_bytes(b"mask")
        seal_bundle(staging, plain_manifest("first"))
    assert open_bundle(folder).manifest.name == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_an_older_bundle_is_replaced_and_other_folders_are_not(tmp_path: Path) -> None:
    manifest = plain_manifest("first")
    folder = tmp_path / "bundle"
    write_plain(folder, manifest)
    write_plain(folder, plain_manifest("second"))
    assert open_bundle(folder).manifest.name == "second"
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.tex").write_text("years of work")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        write_plain(other, manifest)
    assert (other / "chapter1.tex").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "thesis"]


@pytest.mark.parametrize("old", [True, False], ids=["over an old bundle", "new"])
def test_an_error_while_writing_leaves_the_old_bundle_or_none(tmp_path: Path, old: bool) -> None:
    folder = tmp_path / "bundle"
    if old:
        write_plain(folder, plain_manifest("old"))
    with pytest.raises(ZeroDivisionError), new_bundle(folder) as staging:
        (staging / "model.onnx").write_bytes(b"half")
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == (["bundle"] if old else [])
    if old:
        assert open_bundle(folder).manifest.name == "old"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), BundleError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "Ctrl-C"],
)
def test_a_rename_that_fails_brings_the_old_bundle_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    told: type[BaseException],
) -> None:
    folder = tmp_path / "bundle"
    write_plain(folder, plain_manifest("old"))
    original = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name.endswith("-partial"):
            raise error
        return original(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(told, match="No space left" if told is BundleError else None):
        write_plain(folder, plain_manifest("new"))
    assert open_bundle(folder).manifest.name == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


# The calls that change the disk, at which the process is killed.
STEPS = ["mkdir", "write_bytes", "write_text", "fsync", "rename"]


@pytest.mark.parametrize("old", [True, False], ids=["over an old bundle", "new"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_crash_while_writing_leaves_a_whole_bundle_or_none(
    tmp_path: Path, step: str, nth: int, old: bool
) -> None:
    folder = tmp_path / "bundle"
    if old:
        write_plain(folder, plain_manifest("old"))
    script = textwrap.dedent(f"""
        import os, pathlib, signal, sys
        sys.path.insert(0, {str(Path(plain_bundles.__file__).parent)!r})
        import plain_bundles
        manifest = plain_bundles.plain_manifest("new")
        owner = os if {step!r} == "fsync" else pathlib.Path
        original, calls = getattr(owner, {step!r}), []
        def deadly(*args, **kwargs):
            calls.append(1)
            if len(calls) == {nth}:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)
        setattr(owner, {step!r}, deadly)
        plain_bundles.write_plain(pathlib.Path({str(folder)!r}), manifest)
    """)
    result = subprocess.run([sys.executable, "-c", script], check=False)
    assert result.returncode in {0, -signal.SIGKILL}
    if folder.exists():
        name = open_bundle(folder).manifest.name
        assert name == "new" if result.returncode == 0 else name in {"old", "new"}
    write_plain(folder, plain_manifest("after"))  # what the crash left behind is no obstacle
    assert open_bundle(folder).manifest.name == "after"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        write_plain(tmp_path / "file" / "bundle", plain_manifest("x"))
    with pytest.raises(BundleError, match="cannot be written: .*File name too long"):
        write_plain(tmp_path / ("x" * 300), plain_manifest("x"))
