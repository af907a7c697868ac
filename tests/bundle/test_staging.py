"""A bundle takes the place of a bundle of edgeseg's own, and of nothing else."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pytest
from trees import hashes

from edgeseg.bundle.staging import new_bundle, seal_bundle
from edgeseg.bundle.store import Bundle, is_bundle, open_bundle
from edgeseg.errors import BundleError


def site(folder: Path, _bundle: Bundle) -> None:
    """Web applications have a manifest.json, too."""
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "site"}')
    (folder / "photo.jpg").write_bytes(b"photo")


def with_notes(folder: Path, bundle: Bundle) -> None:
    shutil.copytree(bundle.folder, folder)
    (folder / "golden" / "notes.txt").write_text("mine")


def with_a_folder(folder: Path, bundle: Bundle) -> None:
    shutil.copytree(bundle.folder, folder)
    (folder / "videos").mkdir()


def without_its_hash(folder: Path, bundle: Bundle) -> None:
    shutil.copytree(bundle.folder, folder)
    (folder / "manifest.sha256").unlink()


def unreadable(folder: Path, bundle: Bundle) -> None:
    shutil.copytree(bundle.folder, folder)
    (folder / "manifest.json").write_text("{}")


def a_file(folder: Path, _bundle: Bundle) -> None:
    folder.write_text("notes")


def a_link(folder: Path, bundle: Bundle) -> None:
    shutil.copytree(bundle.folder, folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def a_dangling_link(folder: Path, _bundle: Bundle) -> None:
    folder.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        (site, "exists and is not a bundle; choose another name with -o"),
        (with_notes, "holds what is not the bundle's: golden/notes.txt; move it away"),
        (with_a_folder, "holds what is not the bundle's: videos; move it away"),
        (without_its_hash, "exists and is not a bundle; choose another name with -o"),
        (unreadable, "its manifest.json is not one of schema 1; remove the folder"),
        (a_file, "exists and is not a bundle; choose another name with -o"),
        (a_link, "is a symbolic link; name the folder itself with -o"),
        (a_dangling_link, "is a symbolic link; name the folder itself with -o"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_edgesegs_alone_is_refused_and_left(
    edgeseg, tmp_path: Path, seeded_bundle: Bundle, checkpoint_folder: Path, situation, says: str
) -> None:
    situation(tmp_path / "out", seeded_bundle)
    before = hashes(tmp_path)
    args = ["--weights", checkpoint_folder, "--precision", "fp32"]
    outcome = edgeseg("export", *args, "-o", "out")
    assert outcome.status == 1
    assert says in outcome.err.splitlines()[-1]
    assert "graph written" not in outcome.err
    assert hashes(tmp_path) == before


def test_what_comes_while_a_bundle_is_made_is_left(tmp_path: Path, seeded_bundle: Bundle) -> None:
    folder = tmp_path / "out"
    shutil.copytree(seeded_bundle.folder, folder)
    kept = f"holds what is not the bundle's: notes.txt;.* the new one is kept as {tmp_path}/out-2"
    refused = pytest.raises(BundleError, match=kept)
    with refused, new_bundle(folder) as staging:
        (folder / "notes.txt").write_text("mine")
        shutil.copy(seeded_bundle.folder / "model.onnx", staging)
        shutil.copytree(seeded_bundle.folder / "golden", staging / "golden")
        seal_bundle(staging, seeded_bundle.manifest)
    assert (folder / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out-2"]
    assert open_bundle(tmp_path / "out-2").manifest.name == seeded_bundle.manifest.name


def test_a_mount_point_is_refused_and_a_folder_in_it_is_taken(
    small_disk: Path, seeded_bundle: Bundle
) -> None:
    inside = re.escape(f"-o {small_disk}/NAME")
    with pytest.raises(BundleError, match=inside), new_bundle(small_disk):
        pass
    assert list(small_disk.iterdir()) == []
    with new_bundle(small_disk / "street") as staging:
        shutil.copy(seeded_bundle.folder / "model.onnx", staging)
        shutil.copytree(seeded_bundle.folder / "golden", staging / "golden")
        seal_bundle(staging, seeded_bundle.manifest)
    assert open_bundle(small_disk / "street").manifest.name == seeded_bundle.manifest.name


def test_a_folder_of_a_working_name_that_no_export_made_is_left(tmp_path: Path) -> None:
    for name in (".out.partial", ".out.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    before = hashes(tmp_path)
    with pytest.raises(ZeroDivisionError), new_bundle(tmp_path / "out"):
        raise ZeroDivisionError
    assert hashes(tmp_path) == before


@pytest.mark.parametrize("lock", [True, False], ids=["an unsigned lock", "no lock"])
def test_a_leftover_without_a_signature_is_no_obstacle(
    tmp_path: Path, seeded_bundle: Bundle, lock: bool
) -> None:
    """A full disk takes no signature, and then the process may be killed."""
    for left in (".out.edgeseg-partial", ".out.edgeseg-old"):
        if lock:
            (tmp_path / ".out.edgeseg-lock").touch()
        (tmp_path / left).mkdir()
        (tmp_path / left / "half").touch()
        with new_bundle(tmp_path / "out") as staging:
            shutil.copytree(seeded_bundle.folder, staging, dirs_exist_ok=True)
            seal_bundle(staging, seeded_bundle.manifest)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert not (tmp_path / "out" / "half").exists()


@pytest.mark.parametrize("own", [True, False], ids=["its own file", "another file"])
def test_an_error_names_the_file_that_it_is_of(tmp_path: Path, own: bool) -> None:
    """A full cache, or a source that is gone, is no bundle that cannot be written."""
    elsewhere = str(tmp_path / "cache" / "masks" / "1.png")
    full = (errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(BundleError) as told, new_bundle(tmp_path / "out"):
        raise OSError(*full) if own else OSError(*full, elsewhere)
    out = tmp_path / "out"
    assert str(told.value) == (
        f"bundle {out} cannot be written: No space left on device"
        if own
        else f"bundle {out} was not made: {elsewhere}: No space left on device"
    )
    with pytest.raises(BrokenPipeError), new_bundle(tmp_path / "out"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_hidden_leftovers_and_foreign_manifests_are_no_bundles(
    edgeseg, tmp_path: Path, seeded_bundle: Bundle
) -> None:
    shutil.copytree(seeded_bundle.folder, tmp_path / "street")
    shutil.copytree(seeded_bundle.folder, tmp_path / ".street.old")
    site(tmp_path / "site", seeded_bundle)
    outcome = edgeseg("run", "--source", "demo", "--frames", 1)
    assert outcome.status == 0
    assert "street (fp32) on " in outcome.err
    assert not is_bundle(tmp_path / "site")


def test_under_a_name_that_nobody_gave_only_the_same_is_replaced(
    edgeseg, checkpoint_folder: Path
) -> None:
    args = ["export", "--weights", checkpoint_folder, "--precision", "fp32"]
    assert edgeseg(*args).status == 0
    name = "custom-onnxruntime-fp32"
    first = hashes(Path())
    again = edgeseg(*args)
    assert again.status == 0
    assert f"the bundle in {name} is replaced: " in again.err
    other = edgeseg(*args, "--size", "64x96")
    assert other.status == 1
    assert f"{name} holds another bundle (" in other.err
    assert "another input (64x96); choose a name with -o, or replace it with --force" in other.err
    assert hashes(Path()).keys() == first.keys()
    forced = edgeseg(*args, "--size", "64x96", "--force")
    assert forced.status == 0
    assert f"the bundle in {name} is replaced: " in forced.err
    named = edgeseg(*args, "-o", name)
    assert named.status == 0
    assert f"the bundle in {name} is replaced: " in named.err
