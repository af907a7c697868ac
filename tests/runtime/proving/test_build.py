from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import onnx
import pytest
from machines import ELSEWHERE
from onnx import numpy_helper

from edgeseg.bundle.manifest import Machine, Manifest, VariantInfo
from edgeseg.bundle.staging import new_bundle, seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.errors import GateMissedError
from edgeseg.machine.cpu import describe_machine
from edgeseg.progress import Progress
from edgeseg.runtime.proving import race, remember
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.choose import choose_variant


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgeseg" / "builds"


def two_variants(manifest: Manifest) -> Manifest:
    """The same file twice: `fp32`, and `other`, which is chosen."""
    (fp32,) = manifest.variants
    other = msgspec.structs.replace(fp32, name="other", file="other.onnx")
    return msgspec.structs.replace(
        manifest,
        variants=(fp32, other),
        chosen=msgspec.structs.replace(manifest.chosen, variant="other"),
        golden=tuple(
            msgspec.structs.replace(g, agreement={**g.agreement, "other": g.agreement["fp32"]})
            for g in manifest.golden
        ),
        files={},
    )


def made(
    seeded: Bundle, folder: Path, *, machine: Machine | None, damaged: tuple[str, ...] = ()
) -> Bundle:
    with new_bundle(folder) as staging:
        shutil.copytree(seeded.folder, staging, dirs_exist_ok=True)
        for name in ("manifest.json", "manifest.sha256"):
            (staging / name).unlink()
        shutil.copy(staging / "model.onnx", staging / "other.onnx")
        for name in damaged:
            graph = onnx.load(staging / name)
            for weight in graph.graph.initializer:
                if weight.name == "stage3.block0.ffn_out.weight":
                    values = numpy_helper.to_array(weight) * -1
                    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
            onnx.save(graph, staging / name)
        manifest = two_variants(seeded.manifest)
        seal_bundle(staging, msgspec.structs.replace(manifest, machine=machine))
    return open_bundle(folder)


def test_where_it_was_made_the_chosen_variant_runs(seeded_bundle: Bundle, tmp_path: Path) -> None:
    bundle = made(seeded_bundle, tmp_path / "b", machine=describe_machine())
    said: list[str] = []
    assert choose_variant(bundle, progress=Progress(say=said.append)).name == "other"
    assert not said


def test_another_cpu_proves_and_times_once(
    seeded_bundle: Bundle, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = made(seeded_bundle, tmp_path / "b", machine=ELSEWHERE)
    times = {"fp32": 1.0, "other": 2.0}
    monkeypatch.setattr(race, "time_frames", lambda _bundle, _backends: times)
    said: list[str] = []
    assert choose_variant(bundle, progress=Progress(say=said.append)).name == "fp32"
    assert len(said) == 1
    assert said[0].startswith("another CPU than it was made on")
    assert choose_variant(bundle, progress=Progress(say=said.append)).name == "fp32"
    assert len(said) == 1
    assert len(list(cache.iterdir())) == 1


def test_the_answer_is_for_this_bundle_and_machine(
    seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = made(seeded_bundle, tmp_path / "b", machine=ELSEWHERE)
    here = remember.find_memory(bundle)
    other = made(seeded_bundle, tmp_path / "c", machine=None)
    assert remember.find_memory(other) != here
    monkeypatch.setattr(remember, "describe_machine", lambda: ELSEWHERE)
    assert remember.find_memory(bundle) != here


def test_a_variant_that_computes_wrongly_is_out(seeded_bundle: Bundle, tmp_path: Path) -> None:
    bundle = made(seeded_bundle, tmp_path / "b", machine=ELSEWHERE, damaged=("other.onnx",))
    first, last = build(bundle)
    assert (first.variant, last.variant) == ("fp32", "other")
    assert first.latency_ms is not None
    assert first.latency_ms > 0
    assert last.latency_ms is None
    assert last.fault is not None
    assert "golden/frame_0.png agrees in" in last.fault
    assert choose_variant(bundle).name == "fp32"


def test_with_none_left_it_says_why(seeded_bundle: Bundle, tmp_path: Path) -> None:
    both = ("other.onnx", "model.onnx")
    bundle = made(seeded_bundle, tmp_path / "b", machine=ELSEWHERE, damaged=both)
    with pytest.raises(GateMissedError, match="no variant of .* works on this machine") as caught:
        build(bundle)
    assert str(caught.value).count("golden/frame_0.png agrees in") == 2


def test_a_type_that_the_cpu_lacks_is_out(seeded_bundle: Bundle, tmp_path: Path) -> None:
    manifest = msgspec.structs.replace(two_variants(seeded_bundle.manifest), target="openvino")
    fp32, other = manifest.variants
    variants: tuple[VariantInfo, ...] = (
        fp32,
        msgspec.structs.replace(other, file="model.onnx", compute="f64"),
    )
    bundle = replace(seeded_bundle, manifest=msgspec.structs.replace(manifest, variants=variants))
    first, last = build(bundle)
    assert first.variant == "fp32"
    assert last.fault is not None
    assert "does not compute in f64" in last.fault


def test_a_cache_that_cannot_be_written_is_no_failure(
    seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    bundle = made(seeded_bundle, tmp_path / "b", machine=ELSEWHERE, damaged=("other.onnx",))
    assert choose_variant(bundle).name == "fp32"
    assert {result.variant for result in build(bundle)} == {"fp32", "other"}


def test_a_remembered_answer_that_is_no_variant_is_asked_again(
    seeded_bundle: Bundle, tmp_path: Path, cache: Path
) -> None:
    bundle = made(seeded_bundle, tmp_path / "b", machine=ELSEWHERE, damaged=("other.onnx",))
    choose_variant(bundle)
    (kept,) = cache.iterdir()
    kept.write_text('{"variant": "gone"}', "utf-8")
    assert choose_variant(bundle).name == "fp32"


def test_this_machine_has_a_name() -> None:
    machine = describe_machine()
    assert machine.cpu
    assert machine.cores >= 1
    assert list(machine.features) == sorted(machine.features)
