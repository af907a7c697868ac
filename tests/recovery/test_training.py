"""A training, with real artifacts: it comes nearer to FP32, can be broken off, and never harms."""

from __future__ import annotations

import itertools
import re
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from artifacts import list_frames
from typed_graphs import HEIGHT, WIDTH, frame

from edgeseg.errors import CalibrationError, ExportError
from edgeseg.progress import SILENT, Progress
from edgeseg.recovery import memory, steps, training
from edgeseg.recovery import recover as recover_module
from edgeseg.recovery.example import Example
from edgeseg.recovery.network import Network
from edgeseg.recovery.program import Kind
from edgeseg.recovery.recover import Recovered, read_program, recover
from edgeseg.recovery.state import recall_state
from edgeseg.recovery.training import LESSONS, Task, train

if TYPE_CHECKING:
    from artifacts import Artifact

HELD = range(60, 62)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second at each look: as many steps are planned on any machine.

    By it a comparison is swift, and takes most of the real time; so there are few.
    """
    seconds = itertools.count()
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(training, "_CHECKS", 4)
    monkeypatch.setattr(recover_module, "_FITTED", 2)


def harm(artifact: Artifact, path: Path) -> Path:
    """Write an artifact whose weights are far from what they were."""
    program = read_program(artifact.path)
    network = Network(program)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for change in network.select(Kind.WEIGHT):
            change += 12 * torch.randn(change.shape, generator=generator)
    program.write(network.export_values(), path)
    return path


def agreement(artifact: Artifact, path: Path) -> float:
    """How much of unseen frames the engine gives FP32's class, in %."""
    with closing(artifact.open(path)) as own, closing(artifact.open(artifact.teacher)) as exact:
        pairs = [(own.infer(frame(seed)), exact.infer(frame(seed))) for seed in range(200, 208)]
    return 100 * float(np.mean([(a.argmax(1) == b.argmax(1)).mean() for a, b in pairs]))


def given(artifact: Artifact, keep: Path, seconds: float = 40) -> Task:
    return Task(
        teacher=read_program(artifact.teacher),
        learned=list_frames(range(30)),
        held_back=list_frames(HELD),
        seconds=seconds,
        seed=0,
        keep=keep,
        lessons=LESSONS,
    )


@pytest.mark.parametrize(
    "target",
    [
        "onnxruntime",
        pytest.param("openvino", marks=pytest.mark.long),
        pytest.param("jetson", marks=pytest.mark.long),
    ],
)
def test_an_engine_comes_nearer_to_fp32(
    artifacts: dict[str, Artifact], target: str, tmp_path: Path
) -> None:
    """On frames that were neither learned from nor held back."""
    artifact = artifacts[target]
    harmed = harm(artifact, tmp_path / f"harmed{artifact.path.suffix}")
    target = tmp_path / f"recovered{artifact.path.suffix}"
    lines: list[str] = []
    phases: list[tuple[str, int, int]] = []
    done = recover(
        harmed,
        artifact.teacher,
        target,
        list_frames(range(34)),
        seconds=130,  # the choice of step sizes takes some of them
        seed=0,
        progress=Progress(say=lines.append, phase=lambda *told: phases.append(told[:3])),
        # What is so far off comes back in few steps only if the steps are large.
        lessons=[replace(lesson, rate=10 * lesson.rate, share=0.5) for lesson in LESSONS[::2]],
    )
    assert (len(done.learned), done.held_back) == (29, 5)
    assert done.after > done.before
    before, after = agreement(artifact, harmed), agreement(artifact, target)
    assert after > before + 1
    assert any(re.search(r"mean IoU .* after \d+ steps", line) for line in lines)
    told = [phase for phase in phases if phase[0].startswith("recovering")]
    for place, lesson in ((0, "1 of 2, scales and shifts"), (-1, "2 of 2, everything")):
        assert told[place][0].startswith(f"recovering, lesson {lesson}, best mean IoU ")
    best = [float(phase[0].rpartition(" ")[2]) for phase in told]
    assert best == sorted(best)
    assert round(done.before, 2) <= best[0] < best[-1] <= round(done.after, 2)
    spent = [phase[1] for phase in told]
    assert spent == sorted(spent)  # the time of the whole, not of the lesson
    assert 0 < spent[-1] <= told[0][2] <= 130
    assert len({phase[2] for phase in told}) == 1
    assert not target.with_suffix(".training").exists()


def test_what_only_harms_is_not_kept(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    artifact = artifacts["onnxruntime"]
    program = read_program(artifact.path)
    wild = tuple(replace(lesson, rate=1e3) for lesson in LESSONS)
    task = replace(given(artifact, tmp_path / "state"), lessons=wild)
    found = train([program], task, SILENT)
    assert found.steps > 0
    assert found.after == found.before
    for name, constant in program.constants.items():
        np.testing.assert_array_equal(found.values[name], constant.value)


def test_a_lesson_ends_where_nothing_came_nearer(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearer than the start, or than what the lessons before it reached."""
    monkeypatch.setattr(training, "_CHECKS", 20)
    monkeypatch.setattr(training, "_PATIENCE", 2)
    artifact = artifacts["onnxruntime"]
    wild = tuple(replace(lesson, rate=1e3, share=0.5) for lesson in LESSONS[::2])
    task = replace(given(artifact, tmp_path / "state", seconds=120), lessons=wild)
    lines: list[str] = []
    found = train([read_program(artifact.path)], task, Progress(say=lines.append))
    assert len(lines) == 2 * 2
    assert found.seconds < 60
    assert found.after == found.before


def test_the_better_start_is_taken(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    artifact = artifacts["onnxruntime"]
    harmed = read_program(harm(artifact, tmp_path / "harmed.onnx"))
    better = read_program(artifact.path)
    task = replace(given(artifact, tmp_path / "state"), lessons=())
    for starts in ([harmed, better], [better, harmed]):
        found = train(starts, task, SILENT)
        assert (found.after > found.before) == (starts[0] is harmed)
        for name, constant in better.constants.items():
            np.testing.assert_array_equal(found.values[name], constant.value)


def test_one_that_was_broken_off_goes_on(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    artifact = artifacts["openvino"]
    keep = tmp_path / "state"
    task = given(artifact, keep, seconds=60)

    def stop(name: str, done: int, *_: object) -> None:
        if "block by block" in name and done > 20:
            raise KeyboardInterrupt

    program = read_program(artifact.path)
    with pytest.raises(KeyboardInterrupt):
        train([program], task, Progress(phase=stop))
    saved = recall_state(keep)
    assert saved is not None
    assert saved.taken > 0
    lines: list[str] = []
    found = train([program], task, Progress(say=lines.append))
    assert lines[0] == f"  going on after {saved.taken} steps"
    assert found.steps > saved.taken
    assert found.seconds > saved.seconds
    assert found.before == saved.before
    assert found.after >= saved.after


def recover_some(artifact: Artifact, path: Path, progress: Progress = SILENT) -> Recovered:
    return recover(
        artifact.path,
        artifact.teacher,
        path,
        list_frames(range(10)),
        seconds=60,
        seed=0,
        progress=progress,
    )


def test_one_that_goes_on_keeps_the_step_sizes_that_it_began_with(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was learned is learned on top of them."""

    def stop(name: str, *_: object) -> None:
        if "block by block" in name or "everything" in name:
            raise KeyboardInterrupt

    path = tmp_path / "out.xml"
    with pytest.raises(KeyboardInterrupt):
        recover_some(artifacts["openvino"], path, Progress(phase=stop))
    assert {one.name for one in tmp_path.iterdir()} == {"out.training", "out.steps.json"}
    monkeypatch.setattr(steps, "fit_factors", None)
    lines: list[str] = []
    recover_some(artifacts["openvino"], path, Progress(say=lines.append))
    assert lines[0].startswith("  going on after ")
    assert {one.name for one in tmp_path.iterdir()} == {"out.xml", "out.bin"}


@pytest.mark.parametrize("content", [b"", b"not a state", b"PK\x03\x04" + 40 * b"\0"])
def test_a_damaged_state_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    assert recall_state(tmp_path / "state") is None
    assert recall_state(tmp_path / "no such file") is None


def test_its_time_is_kept(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    """On a machine that becomes slower and slower."""
    artifact = artifacts["onnxruntime"]
    task = given(artifact, tmp_path / "state")
    looks = itertools.count()

    def slow_down(*_: object) -> None:
        for _ in range(next(looks)):
            training.time.monotonic()

    found = train([read_program(artifact.path)], task, Progress(phase=slow_down))
    assert found.steps > 0
    assert found.seconds < task.seconds + 60


def test_too_little_memory_is_told(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "find_total_memory", lambda: 10_000_000)
    artifact = artifacts["onnxruntime"]
    told = r"training needs about \d+\.\d GB of memory .* 0\.0 GB .* choose a smaller --size"
    with pytest.raises(ExportError, match=told):
        train([read_program(artifact.path)], given(artifact, tmp_path / "state"), SILENT)
    with pytest.raises(ExportError, match=told):
        recover_some(artifact, tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
    ids=["PyTorch", "cuBLAS"],
)
def test_a_gpu_with_too_little_memory_is_told(
    artifacts: dict[str, Artifact],
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Network, "forward", fail)
    artifact = artifacts["onnxruntime"]
    with pytest.raises(ExportError, match="does not fit into the GPU's memory; free some of it"):
        train([read_program(artifact.path)], given(artifact, tmp_path / "state"), SILENT)
    with pytest.raises(ExportError, match="does not fit into the GPU's memory; free some of it"):
        recover_some(artifact, tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


def test_too_few_images_are_refused(artifacts: dict[str, Artifact], tmp_path: Path) -> None:
    artifact = artifacts["onnxruntime"]
    with pytest.raises(CalibrationError, match="7 images are too few .* give 8 or more"):
        recover(
            artifact.path,
            artifact.teacher,
            tmp_path / "out.onnx",
            list_frames(range(7)),
            seconds=1,
            seed=0,
            progress=SILENT,
        )
    assert not list(tmp_path.iterdir())


def test_ground_truth_takes_part(
    artifacts: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All labels are of one class, which FP32 hardly finds; what is trained finds it more often."""
    monkeypatch.setattr(training, "_LABELS", 1000)
    artifact = artifacts["onnxruntime"]
    truth = np.full((HEIGHT, WIDTH), 7, np.uint8)
    labelled = [partial(Example, frame(seed), truth) for seed in range(8)]
    fast = replace(LESSONS[2], share=1, rate=5)
    program = read_program(artifact.path)
    shares = []
    for learned in (list_frames(range(8)), labelled):
        keep = tmp_path / f"{len(shares)}"
        task = replace(given(artifact, keep, 12), learned=learned, lessons=(fast,))
        train([program], task, SILENT)
        state = recall_state(keep)
        assert state is not None
        network = Network(program)
        network.load_changes(state.changes)
        shares.append(find_share(network))
    assert shares[1] > 1.2 * shares[0]


def find_share(network: Network) -> float:
    with torch.no_grad():
        return float(network(torch.from_numpy(frame(0))).logits.softmax(1)[0, 7].mean())
