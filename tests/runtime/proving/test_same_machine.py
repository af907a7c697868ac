"""When a bundle's own choice holds here, what is proved anew, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from failing import ALWAYS, failing_bundle, failing_model
from machines import ELSEWHERE

from edgeseg.bundle.manifest import Machine, Manifest
from edgeseg.bundle.staging import seal_bundle
from edgeseg.bundle.store import Bundle, open_bundle
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.machine.cpu import describe_machine
from edgeseg.progress import Progress
from edgeseg.runtime.proving import build as build_module
from edgeseg.runtime.proving import choose, race
from edgeseg.runtime.proving.build import build
from edgeseg.runtime.proving.choose import choose_variant

if TYPE_CHECKING:
    from outcome import Outcome

Change = Callable[[Manifest], Manifest]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgeseg" / "builds"


@pytest.fixture
def single(seeded_bundle: Bundle, tmp_path: Path) -> Callable[[Manifest | None], Bundle]:
    """The seeded bundle, which has one variant, sealed again with a changed manifest."""

    def make(change: Change = lambda manifest: manifest, *, fails: bool = False) -> Bundle:
        model = seeded_bundle.path("model.onnx")
        content = failing_model(model, "nan", below=ALWAYS) if fails else model.read_bytes()
        bundle = failing_bundle(seeded_bundle, tmp_path / "one", {"fp32": content})
        return resealed(bundle, change)

    return make


def resealed(bundle: Bundle, change: Change) -> Bundle:
    for name in ("manifest.json", "manifest.sha256"):
        (bundle.folder / name).unlink()
    changed = change(bundle.manifest)
    seal_bundle(bundle.folder, msgspec.structs.replace(changed, files={}))
    return open_bundle(bundle.folder)


def with_machine(machine: Machine | None) -> Change:
    return lambda manifest: msgspec.structs.replace(manifest, machine=machine)


def heard(bundle: Bundle) -> list[str]:
    lines: list[str] = []
    choose_variant(bundle, progress=Progress(say=lines.append))
    return lines


def test_a_bundle_of_one_variant_is_proved_on_another_machine(single) -> None:
    (line,) = heard(single(with_machine(ELSEWHERE)))
    assert line == "another CPU than it was made on: proving the bundle"


def test_a_bundle_of_one_variant_that_fails_there_does_not_run(single) -> None:
    with pytest.raises(GateMissedError, match="no variant .* logits that are not finite"):
        heard(single(with_machine(ELSEWHERE), fails=True))


def test_another_architecture_is_another_machine(single) -> None:
    other = msgspec.structs.replace(describe_machine(), architecture="riscv64")
    assert heard(single(with_machine(other))) == [
        "another CPU than it was made on: proving the bundle"
    ]


def test_another_version_of_the_engine_is_proved_once(single) -> None:
    def older(manifest: Manifest) -> Manifest:
        return msgspec.structs.replace(manifest, tools={**manifest.tools, "onnxruntime": "1.0.7"})

    bundle = single(older)
    (line,) = heard(bundle)
    assert line.endswith("is here, and it was made with 1.0.7: proving the bundle")
    assert heard(bundle) == []


def test_features_that_nobody_knows_are_not_the_same(single, monkeypatch) -> None:
    unknown = msgspec.structs.replace(describe_machine(), features=())
    monkeypatch.setattr(choose, "describe_machine", lambda: unknown)
    (line,) = heard(single(with_machine(unknown)))
    assert line.startswith("nobody knows whether this is the CPU")


def test_on_the_same_machine_nothing_is_proved(single) -> None:
    assert heard(single(with_machine(describe_machine()))) == []


@pytest.mark.parametrize("content", ['{"variant": ["fp32"]}', '{"variant": {}}', "[1]", "[" * 9999])
def test_a_cache_of_other_content_is_asked_again(single, cache: Path, content: str) -> None:
    bundle = single(with_machine(ELSEWHERE))
    heard(bundle)
    (kept,) = cache.iterdir()
    kept.write_text(content, "utf-8")
    assert len(heard(bundle)) == 1


@pytest.fixture
def pair(seeded_bundle: Bundle, tmp_path: Path) -> Bundle:
    """`int8` is chosen and agrees less; both are the same file."""
    content = seeded_bundle.path("model.onnx").read_bytes()
    bundle = failing_bundle(
        seeded_bundle, tmp_path / "pair", {"int8-linear": content, "fp32": content}
    )

    def changed(manifest: Manifest) -> Manifest:
        eight, single = manifest.variants
        return msgspec.structs.replace(
            manifest,
            machine=describe_machine(),
            variants=(
                msgspec.structs.replace(eight, precision="int8", latency_ms=9.9),
                msgspec.structs.replace(single, latency_ms=10.0),
            ),
        )

    return resealed(bundle, changed)


def test_of_equal_speeds_the_more_exact_is_kept(pair: Bundle, monkeypatch) -> None:
    """Two timings of one file differ by as much."""
    times = {"int8-linear": 9.9, "fp32": 10.0}
    monkeypatch.setattr(race, "time_frames", lambda _bundle, _backends: times)
    proved = build_module.prove

    def less(bundle, variant, backend):
        found = proved(bundle, variant, backend)
        return found if variant.name == "fp32" else replace(found, agreement=98.0)

    monkeypatch.setattr(build_module, "prove", less)
    assert [result.variant for result in build(pair)] == ["fp32", "int8-linear"]
    times["int8-linear"] = 9.0
    assert [result.variant for result in build(pair)] == ["int8-linear", "fp32"]


def test_what_was_built_here_runs_here(
    pair: Bundle, monkeypatch, edgeseg: Callable[..., Outcome]
) -> None:
    """Also where the bundle was made, and its own choice is another one."""
    assert choose_variant(pair).name == "int8-linear"
    times = {"int8-linear": 12.0, "fp32": 10.0}
    monkeypatch.setattr(race, "time_frames", lambda _bundle, _backends: times)
    assert build(pair)[0].variant == "fp32"
    assert choose_variant(pair).name == "fp32"
    told = edgeseg("inspect", pair.folder).err
    assert "here         fp32 on cpu, as edgeseg build found" in told


def test_what_fails_while_it_is_timed_is_out(pair: Bundle, monkeypatch) -> None:
    calls: list[str] = []
    segment = race.segment_frame

    def failing(backend, spec, frame, **lane):
        calls.append(backend.name)
        if len(calls) == 6:  # in the turns
            raise BackendError("out of memory")
        return segment(backend, spec, frame, **lane)

    monkeypatch.setattr(race, "segment_frame", failing)
    first, last = build(pair)
    assert {first.fault, last.fault} == {None, "out of memory"}
    assert first.latency_ms is not None


def test_a_run_says_that_int8_is_no_faster_here(
    pair: Bundle, edgeseg: Callable[..., Outcome]
) -> None:
    outcome = edgeseg("run", pair.folder, "--source", "demo", "--frames", 1, "--jsonl", "x.jsonl")
    assert outcome.status == 0
    assert "int8-linear is no faster than fp32 here: 9.9 and 10.0 ms" in outcome.err


def test_a_build_says_so_and_what_could_not_be_kept(
    pair: Bundle, edgeseg: Callable[..., Outcome], tmp_path: Path, monkeypatch
) -> None:
    times = {"int8-linear": 12.5, "fp32": 10.0}
    monkeypatch.setattr(race, "time_frames", lambda _bundle, _backends: times)
    outcome = edgeseg("build", pair.folder, "--json")
    assert "int8-linear is no faster than fp32 here: 0.80x its speed" in outcome.err
    assert "fp32 runs here from now on" in outcome.err
    assert outcome.json["kept"] is True
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    outcome = edgeseg("build", pair.folder, "--json")
    assert outcome.status == 0
    assert "could not be kept in " in outcome.err
    assert "from now on" not in outcome.err
    assert outcome.json["kept"] is False


def test_a_run_says_that_it_proves_again(
    single, edgeseg: Callable[..., Outcome], tmp_path: Path, monkeypatch
) -> None:
    bundle = single(with_machine(ELSEWHERE))
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        outcome = edgeseg("run", bundle.folder, "--source", "demo", "--frames", 1)
        assert "another CPU than it was made on: proving the bundle" in outcome.err
        assert "so every run proves again; set XDG_CACHE_HOME" in outcome.err
