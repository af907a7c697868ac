"""`edgeseg.export_model` is the command line's export: same files, same notes, same refusals."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import edgeseg as package
from edgeseg.bundle.store import open_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CheckpointError, SpecError

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "forms.md"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a bundle. In FP32 alone nothing is timed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_it_writes_the_bundle_that_the_command_line_writes(
    edgeseg, precision: str, checkpoint_folder: Path, street: Path, tmp_path: Path
) -> None:
    """Under one folder's name, for the manifest holds it. Without images, auto is FP32."""
    data = {} if precision == "auto" else {"data": street, "split": "test"}
    ours, theirs = tmp_path / "python" / "b0", tmp_path / "command" / "b0"
    said: list[str] = []
    exported = package.export_model(
        checkpoint_folder, size=(64, 96), precision=precision, output=ours, say=said.append, **data
    )
    outcome = edgeseg(
        "export", "--weights", checkpoint_folder, "--size", "64x96", "--precision", precision,
        "-o", theirs, *as_options(data),
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert exported.bundle.folder == ours
    assert contents(ours) == contents(theirs)
    assert len(said) >= 3
    assert [line for line in said if line not in outcome.err] == []


def as_options(values: dict[str, object]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


@pytest.mark.parametrize(
    "options",
    [
        {"model": "b0"},
        {"weights": "demo", "precision": "int8", "max_drop": 2.0},
        {"weights": "demo", "data": "demo", "split": "test", "target": "openvino"},
        {"weights": "w.pth", "target": "jetson", "calibration": "demo", "output": "here"},
    ],
)
def test_it_asks_for_what_the_command_line_asks_for(
    edgeseg, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def note(request: ExportRequest, **_more: object) -> None:
        requests.append(request)
        raise SpecError("noted")

    monkeypatch.setattr("edgeseg.deploy.export.export_bundle", note)
    with pytest.raises(SpecError, match="noted"):
        package.export_model(**options)
    assert "noted" in edgeseg("export", *as_options(options)).err
    ours, theirs = requests
    assert ours == theirs
    assert ours.limits.given == theirs.limits.given


def test_notes_go_to_stderr_unless_somebody_hears_them(
    checkpoint_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package.export_model(checkpoint_folder, size=(64, 96), output=tmp_path / "b0")
    out, err = capsys.readouterr()
    assert out == ""
    assert "INT8 is not tried: there are no calibration images" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": "toaster"}, "target 'toaster' is not one of onnxruntime, openvino"),
        ({"precision": "int4"}, "precision 'int4' is not one of auto, fp32, fp16, int8"),
        ({"model": "b6"}, "model 'b6' is not one of b0, b1"),
        ({"precision": "fp16"}, "ONNX Runtime computes FP16 graphs in FP32 on a CPU; ask for auto"),
        ({"split": "test"}, "--split needs --data; add --data DATASET"),
        ({"max_drop": 0.5}, "--max-drop needs images with ground truth"),
        ({"max_drop": -1}, "max_drop is 0 to 100 points; got -1"),
    ],
)
def test_it_refuses_what_the_command_line_refuses(options: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        package.export_model("w.pth", **options)


def test_weights_are_named_or_are_the_demos() -> None:
    with pytest.raises(CheckpointError, match="no weights given"):
        package.export_model()
    with pytest.raises(CheckpointError, match="edgeseg brings weights for b0 only"):
        package.export_model(model="b3")


def test_python_takes_at_most_fourteen_parameters() -> None:
    for function in (package.verify, package.export_model):
        assert len(inspect.signature(function).parameters) <= 14


def test_the_python_of_the_guide_to_forms_exports(
    checkpoint_folder: Path,
    street: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In FP32 and small, to take a second; all else as the guide has it."""
    monkeypatch.chdir(tmp_path)
    Path("CHECKPOINT").symlink_to(checkpoint_folder)
    Path("camvid").symlink_to(street)
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    changed = code.replace('form="exact"', 'form="exact", precision="fp32", size=(64, 96)')
    assert changed != code
    exec(changed, {})  # our own example
    folder = Path(capsys.readouterr().out.strip())
    assert open_bundle(folder).chosen.form is None
