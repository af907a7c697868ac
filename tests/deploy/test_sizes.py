"""A bundle of several input sizes: complete bundles inside a bundle, each with its own gate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgeseg.bundle.staging import check_replaceable
from edgeseg.bundle.store import MANIFEST, Bundle, open_bundle, open_sizes
from edgeseg.deploy import export as module
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportOptions, ExportRequest
from edgeseg.errors import BundleError, GateMissedError, SpecError


def test_a_smaller_size_is_a_bundle_of_its_own(sized_bundle: Bundle) -> None:
    (size,) = sized_bundle.manifest.sizes
    assert (size.folder, size.height, size.width) == ("sizes/48x64", 48, 64)
    (inner,) = open_sizes(sized_bundle)
    assert inner.manifest.input_tensor.shape == (1, 48, 64, 3)
    assert inner.manifest.checkpoint == sized_bundle.manifest.checkpoint
    assert inner.manifest.sizes == ()
    # Its hashes are part of the outer one's.
    digest = sized_bundle.manifest.files[f"{size.folder}/{MANIFEST}"].sha256
    assert digest == inner.sha256 != sized_bundle.sha256


def test_the_commands_take_it_by_its_path(edgeseg, sized_bundle: Bundle) -> None:
    inner = sized_bundle.folder / "sizes" / "48x64"
    assert edgeseg("verify", inner).status == 0
    assert edgeseg("build", inner).status == 0
    outcome = edgeseg("inspect", sized_bundle.folder, "--json")
    assert f"48x64 too: {inner}" in outcome.err
    assert outcome.json["sizes"] == [{"folder": "sizes/48x64", "height": 48, "width": 64}]
    assert edgeseg("inspect", inner).status == 0


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
def test_a_changed_byte_inside_is_refused_by_name(
    sized_bundle: Bundle, tmp_path: Path, name: str
) -> None:
    shutil.copytree(sized_bundle.folder, tmp_path / "copy")
    victim = tmp_path / "copy" / "sizes" / "48x64" / name
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=f"48x64/{name} was changed"):
        open_bundle(tmp_path / "copy")


def test_a_size_that_is_not_what_the_bundle_says_is_refused(
    sized_bundle: Bundle, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(sized_bundle.folder, folder)
    shutil.rmtree(folder / "sizes" / "48x64")
    shutil.copytree(seeded_bundle.folder, folder / "sizes" / "48x64")
    changed = Bundle(folder=folder, manifest=sized_bundle.manifest)
    with pytest.raises(BundleError, match="48x64 is of another size than"):
        open_sizes(changed)


def test_it_is_exported_and_replaced_as_a_whole(edgeseg, checkpoint_folder: Path) -> None:
    args = ["--weights", checkpoint_folder, "--precision", "fp32", "-o", "b", "--json"]
    sizes = ["--size", "32x48", "--size", "64x96"]
    outcome = edgeseg("export", *args, *sizes)
    assert outcome.status == 0
    assert "size 32x48: exported by the same options" in outcome.err
    assert "64x96: fp32" in outcome.err.splitlines()[-4:-2][0]
    (inner,) = outcome.json["sizes"]
    assert inner["bundle"] == "b/sizes/32x48"
    assert edgeseg("export", *args, "--size", "64x96").status == 0  # replaces it all
    assert sorted(path.name for path in Path().iterdir()) == ["b"]
    assert check_replaceable(Path("b")) is not None
    assert not Path("b/sizes").exists()


def test_a_size_that_misses_its_gate_ends_the_export(
    checkpoint_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship = module.ship_variants

    def miss_when_small(job, *rest):
        if job.checkpoint.input.height == 32:
            raise GateMissedError("int8 drops 3.00, and 0.50 is allowed")
        return ship(job, *rest)

    monkeypatch.setattr(module, "ship_variants", miss_when_small)
    request = ExportRequest(
        weights=str(checkpoint_folder), target="onnxruntime", folder=tmp_path / "b",
        size=(64, 96), further_sizes=((32, 48),),
    )  # fmt: skip
    with pytest.raises(GateMissedError, match=r"size 32x48: int8 drops 3\.00"):
        export_bundle(request)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        (["64x96", "64x96"], "64x96 is no smaller than 64x96"),
        (["64x96", "96x64"], "is no smaller than"),
    ],
)
def test_sizes_that_do_not_go_together(edgeseg, sizes: list[str], says: str) -> None:
    outcome = edgeseg("export", "--model", "b0", *(f"--size={size}" for size in sizes))
    assert outcome.status == 2
    assert says in outcome.err


def test_a_size_that_is_too_small_is_refused_before_the_search(edgeseg) -> None:
    outcome = edgeseg("export", "--model", "b0", "--size", "64x96", "--size", "16x16")
    assert outcome.status == 1
    assert "got 16x16" in outcome.err
    assert "parity" not in outcome.err
    assert list(Path().iterdir()) == []


def test_further_sizes_need_a_first_one() -> None:
    with pytest.raises(SpecError, match="need a first one"):
        ExportOptions(model="b0", further_sizes=((64, 96),))


def test_an_older_bundle_has_no_sizes(seeded_bundle: Bundle, tmp_path: Path) -> None:
    from edgeseg.bundle.manifest import decode_manifest

    content = json.loads(seeded_bundle.path(MANIFEST).read_text())
    del content["sizes"]
    assert decode_manifest(json.dumps(content).encode(), origin="old").sizes == ()
