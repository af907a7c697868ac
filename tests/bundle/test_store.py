from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_bundles import write_plain

from edgeseg.bundle.manifest import (
    SCHEMA,
    CheckpointInfo,
    Chosen,
    Golden,
    Manifest,
    ModelInfo,
    Parity,
    Tensor,
    VariantInfo,
)
from edgeseg.bundle.store import MANIFEST, MANIFEST_HASH, Bundle, open_bundle
from edgeseg.errors import BundleError
from edgeseg.labels import Labels
from edgeseg.spec import Aspect, InputSpec, Resize

TEXT = st.text(max_size=20)


POINTS = st.floats(0, 100)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    classes = draw(st.lists(TEXT, min_size=2, max_size=6, unique=True))
    height, width = draw(st.integers(64, 4096)), draw(st.integers(64, 4096))
    byte = st.integers(0, 255)
    palette = draw(
        st.lists(st.tuples(byte, byte, byte), min_size=len(classes), max_size=len(classes))
    )
    return Manifest(
        name=draw(TEXT),
        target="onnxruntime",
        model=ModelInfo(variant="b0", head="linear", decoder_width=256, params=1, macs=2),
        labels=Labels(classes=tuple(classes), palette=tuple(palette)),
        input=InputSpec(
            height=height,
            width=width,
            resize=draw(st.sampled_from(Resize)),
            aspect=draw(st.sampled_from(Aspect)),
            mean=draw(st.tuples(*[st.floats(0, 1)] * 3)),
        ),
        input_tensor=Tensor(
            name="image", dtype="uint8", shape=(1, height, width, 3), layout="NHWC"
        ),
        output_tensor=Tensor(
            name="logits", dtype="float32", shape=(1, len(classes), 16, 16), layout="NCHW"
        ),
        variants=(VariantInfo(name="fp32", precision="fp32", file="model.onnx", recipe="float"),),
        chosen=Chosen(variant="fp32", reason=draw(TEXT)),
        checkpoint=CheckpointInfo(
            source=draw(TEXT), layout="nvlabs", sha256="0", license="unknown"
        ),
        parity=Parity(max_abs_diff=draw(st.floats(0, 1e-3)), images=4, image_source=draw(TEXT)),
        golden=(
            Golden(
                frame="golden/frame_0.png",
                mask="golden/mask_0.png",
                agreement={"fp32": draw(POINTS)},
            ),
        ),
        tools={"edgeseg": "0.1.0"},
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(manifest=manifests())
def test_what_is_written_is_what_is_read(manifest: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write_plain(folder, manifest)
    read = open_bundle(folder).manifest
    assert msgspec.structs.replace(read, files={}) == manifest
    assert sorted(read.files) == ["golden/frame_0.png", "golden/mask_0.png", "model.onnx"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle"]  # nothing is left beside it


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_one_flipped_byte_is_refused_by_name(
    seeded_bundle: Bundle, tmp_path: Path, data: st.DataObject
) -> None:
    files = sorted(p for p in seeded_bundle.folder.rglob("*") if p.is_file())
    assert len(files) == 7  # manifest, its hash, the model, two golden frames with their masks
    victim = data.draw(st.sampled_from(files)).relative_to(seeded_bundle.folder)
    folder = tmp_path / "copy"
    if not folder.exists():
        shutil.copytree(seeded_bundle.folder, folder)
    whole = (folder / victim).read_bytes()
    # The hash file ends with a newline, which may change without harm.
    at = data.draw(st.integers(0, len(whole) - 1 - (victim.name == MANIFEST_HASH)))
    damaged = bytearray(whole)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        (folder / victim).write_bytes(damaged)
        with pytest.raises(BundleError) as caught:
            open_bundle(folder)
        assert victim.name in str(caught.value)
    finally:
        (folder / victim).write_bytes(whole)
    open_bundle(folder)


@pytest.mark.parametrize("missing", ["model.onnx", "golden/mask_0.png", MANIFEST_HASH])
def test_a_missing_file_is_refused_by_name(
    seeded_bundle: Bundle, tmp_path: Path, missing: str
) -> None:
    shutil.copytree(seeded_bundle.folder, tmp_path / "copy")
    (tmp_path / "copy" / missing).unlink()
    with pytest.raises(BundleError, match=missing):
        open_bundle(tmp_path / "copy")


def test_no_bundle_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="edgeseg export"):
        open_bundle(tmp_path / "nothing")
    with pytest.raises(BundleError, match="not a whole bundle"):
        open_bundle(tmp_path)


def test_a_newer_schema_is_refused_with_the_remedy(seeded_bundle: Bundle, tmp_path: Path) -> None:
    folder = _altered(seeded_bundle, tmp_path, lambda m: {"schema": SCHEMA + 1, "other": m})
    with pytest.raises(BundleError, match=r"pip install --upgrade edgeseg"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/passwd", "golden/../../outside.onnx"])
def test_a_file_outside_the_bundle_is_refused(
    seeded_bundle: Bundle, tmp_path: Path, name: str
) -> None:
    (tmp_path / "outside.onnx").write_bytes(b"x")
    entry = {"sha256": hashlib.sha256(b"x").hexdigest(), "bytes": 1}
    folder = _altered(seeded_bundle, tmp_path, lambda m: m | {"files": m["files"] | {name: entry}})
    with pytest.raises(BundleError, match="not a file inside it"):
        open_bundle(folder)


def test_a_link_out_of_the_bundle_and_a_pipe_are_refused(
    seeded_bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(seeded_bundle.folder, folder)
    (folder / "golden").rename(tmp_path / "elsewhere")
    (folder / "golden").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="not a file inside it"):
        open_bundle(folder)
    (folder / "golden").unlink()
    (tmp_path / "elsewhere").rename(folder / "golden")
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        open_bundle(folder)


def test_an_unhashed_artifact_is_refused(seeded_bundle: Bundle, tmp_path: Path) -> None:
    def drop(manifest: dict) -> dict:
        del manifest["files"]["model.onnx"]
        return manifest

    with pytest.raises(BundleError, match="names model.onnx, but holds no hash of it"):
        open_bundle(_altered(seeded_bundle, tmp_path, drop))


def _without_golden(manifest: dict) -> dict:
    return manifest | {"golden": []}


def _with_fewer_labels(manifest: dict) -> dict:
    labels = manifest["labels"]
    fewer = {"classes": labels["classes"][:-1], "palette": labels["palette"][:-1]}
    return manifest | {"labels": labels | fewer}


def _with_a_variant_twice(manifest: dict) -> dict:
    return manifest | {"variants": manifest["variants"] * 2}


def _with_another_choice(manifest: dict) -> dict:
    return manifest | {"chosen": {"variant": "int8", "reason": ""}}


def _with_another_size(manifest: dict) -> dict:
    return manifest | {"input": manifest["input"] | {"height": 128}}


def _without_agreement(manifest: dict) -> dict:
    return manifest | {"golden": [golden | {"agreement": {}} for golden in manifest["golden"]]}


def _with_an_old_schema(manifest: dict) -> dict:
    return manifest | {"schema": 0}


def _with_a_nul_in_a_name(manifest: dict) -> dict:
    return manifest | {"files": manifest["files"] | {"a\0b": {"sha256": "", "bytes": 0}}}


@pytest.mark.parametrize(
    "change",
    [
        _without_golden,
        _with_fewer_labels,
        _with_a_variant_twice,
        _with_another_choice,
        _with_another_size,
        _without_agreement,
        _with_an_old_schema,
        _with_a_nul_in_a_name,
    ],
)
def test_parts_that_do_not_fit_are_refused(seeded_bundle: Bundle, tmp_path: Path, change) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json") as caught:
        open_bundle(_altered(seeded_bundle, tmp_path, change))
    assert "\n" not in str(caught.value)


def test_json_that_is_too_deep_is_refused(seeded_bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(seeded_bundle.folder, folder)
    (folder / MANIFEST).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_bundle(folder)


def test_an_unknown_field_or_a_wrong_type_is_refused(seeded_bundle: Bundle, tmp_path: Path) -> None:
    folder = _altered(seeded_bundle, tmp_path, lambda m: m | {"surprise": 1})
    with pytest.raises(BundleError, match="surprise"):
        open_bundle(folder)
    shutil.rmtree(folder)
    folder = _altered(seeded_bundle, tmp_path, lambda m: m | {"name": 5})
    with pytest.raises(BundleError, match="name"):
        open_bundle(folder)


def _altered(bundle: Bundle, tmp_path: Path, change) -> Path:
    """A copy whose manifest was changed and sealed again, as an attacker would."""
    folder = tmp_path / "copy"
    shutil.copytree(bundle.folder, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    text = json.dumps(change(manifest)).encode()
    (folder / MANIFEST).write_bytes(text)
    (folder / MANIFEST_HASH).write_text(hashlib.sha256(text).hexdigest())
    return folder
