"""`edgeseg verify` as its user meets it, with reports, limits and baselines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from edgeseg.bundle.store import Bundle
from edgeseg.errors import EdgesegError
from edgeseg.reports.report import read_report

FORMS = ["report.html", "report.json", "report.md", "report.xml"]


def test_a_report_has_four_forms_that_tell_the_same(
    edgeseg, damaged: Bundle, seeded_bundle: Bundle, street: Path
) -> None:
    outcome = edgeseg(
        "verify", damaged.folder, "--data", street, "--split", "test",
        "--reference", seeded_bundle.folder, "--report", "out/r", "--json",
    )  # fmt: skip
    assert outcome.status == 3
    folder = Path("out/r")
    assert sorted(path.name for path in folder.iterdir()) == FORMS
    assert (folder / "report.json").read_text("utf-8") == outcome.out
    report = read_report(folder / "report.json")
    missed = {gate.name for gate in report.misses}
    assert len(missed) > 3
    suites = ET.parse(folder / "report.xml").getroot()
    failed = {c.get("name") for c in suites.iter("testcase") if c.find("failure") is not None}
    assert failed == missed
    for form in ("report.md", "report.html"):
        text = (folder / form).read_text("utf-8")
        assert "FAILED" in text.upper()
        assert f"{report.miou:.2f}" in text
    page = (folder / "report.html").read_text("utf-8")
    assert page.count("<img") == 5 * len(report.per_image)
    assert report.costs is not None
    assert report.costs.candidate.bytes == damaged.bytes_of(damaged.chosen)
    assert report.costs.latency_ratio is not None
    assert 50 < (report.costs.candidate.memory_mb or 0) < 2000


def test_a_report_of_golden_frames_alone(edgeseg, seeded_bundle: Bundle) -> None:
    outcome = edgeseg("verify", seeded_bundle.folder, "--report", "r")
    assert outcome.status == 0
    assert "report written: r/report.html" in outcome.err
    report = read_report(Path("r/report.json"))
    assert report.data is None
    assert report.costs is not None
    assert report.costs.reference is None


def test_limits_on_costs_are_judged(edgeseg, seeded_bundle: Bundle) -> None:
    limits = ["--max-size-mb", "0.5", "--max-memory-mb", "1"]
    outcome = edgeseg("verify", seeded_bundle.folder, *limits, "--json")
    assert outcome.status == 3
    missed = [gate["name"] for gate in outcome.json["gates"] if not gate["passed"]]
    assert missed == ["size", "peak memory"]
    generous = ["--max-size-mb", "100", "--max-memory-mb", "3000"]
    assert edgeseg("verify", seeded_bundle.folder, *generous).status == 0


def test_the_time_of_a_frame_is_judged_against_the_reference(
    edgeseg, seeded_bundle: Bundle, street: Path
) -> None:
    args = ["verify", seeded_bundle.folder, "--data", street, "--split", "test",
            "--reference", seeded_bundle.folder, "--json", "--max-latency-ratio"]  # fmt: skip
    assert edgeseg(*args, "1000").status == 0
    outcome = edgeseg(*args, "0.001")
    assert outcome.status == 3
    (gate,) = [gate for gate in outcome.json["gates"] if not gate["passed"]]
    assert gate["name"] == "latency ratio"
    assert gate["value"] == outcome.json["costs"]["latency_ratio"]


def test_limits_are_kept_in_a_file_and_options_come_before_it(
    edgeseg, damaged: Bundle, seeded_bundle: Bundle, street: Path
) -> None:
    args = ["verify", damaged.folder, "--data", street, "--split", "test",
            "--reference", seeded_bundle.folder, "--json"]  # fmt: skip
    Path("edgeseg.toml").write_text("[verify.gates]\nmax_drop = 90\nmax_class_drop = 95\n")
    outcome = edgeseg(*args)
    assert "limits from edgeseg.toml: max_class_drop, max_drop" in outcome.err
    limits = {gate["name"].partition(" (")[0]: gate["limit"] for gate in outcome.json["gates"]}
    assert (limits["mIoU drop"], limits["class IoU drop"]) == (90, 95)
    limits = edgeseg(*args, "--max-drop", "80").json["gates"]
    assert next(gate["limit"] for gate in limits if gate["name"] == "mIoU drop") == 80
    Path("other.toml").write_text("[verify.gates]\nmax_drop = 70\n")
    limits = edgeseg(*args, "--config", "other.toml").json["gates"]
    assert next(gate["limit"] for gate in limits if gate["name"] == "mIoU drop") == 70


def test_limits_of_a_file_that_look_at_nothing_here_are_told(
    edgeseg, seeded_bundle: Bundle
) -> None:
    """A regression is of a baseline: where none is given, none is missed, nor left unjudged."""
    Path("edgeseg.toml").write_text("[verify.gates]\nmax_regression = 1\nmax_size_mb = 100\n")
    outcome = edgeseg("verify", seeded_bundle.folder, "--json")
    assert outcome.status == 0
    assert "limits from edgeseg.toml: max_regression, max_size_mb\n" in outcome.err
    assert "size" in {gate["name"] for gate in outcome.json["gates"]}
    (note,) = outcome.json["notes"]
    assert note.startswith("not used without --data, --baseline or --corruptions: max_regression")
    assert f"note: {note}" in outcome.err
    Path("edgeseg.toml").write_text("[verify.gates]\nmax_size = 1\n")
    outcome = edgeseg("verify", seeded_bundle.folder)
    assert outcome.status == 1
    assert "max_size is not a limit; did you mean max_size_mb?" in outcome.err


def test_a_baseline_is_what_an_earlier_call_printed(
    edgeseg, seeded_bundle: Bundle, damaged: Bundle, street: Path
) -> None:
    args = ["--data", street, "--split", "test", "--json"]
    Path("old.json").write_text(edgeseg("verify", seeded_bundle.folder, *args).out)
    same = edgeseg("verify", seeded_bundle.folder, *args, "--baseline", "old.json")
    assert same.status == 0
    assert "baseline old.json of " in same.err
    assert ": unchanged" in same.err
    worse = edgeseg("verify", damaged.folder, *args, "--baseline", "old.json")
    assert worse.status == 3
    assert "MISSED: mIoU lost beyond chance" in worse.err
    assert "classes regressed: " in worse.err
    assert worse.json["baseline"]["miou"]["verdict"] == "regressed"


def test_no_name_begins_a_line_of_its_own_or_colors_one(
    edgeseg, seeded_bundle: Bundle, street: Path, tmp_path: Path
) -> None:
    """A line that begins with :: is a command to GitHub's runners."""
    name = "a\n::error::x \x1b[31m"
    shutil.copytree(street, tmp_path / "data")
    for part in ("images", "masks"):
        (tmp_path / "data" / "test" / part / f"{name}.png").write_text("no picture")
    for more, status in (("--max-skipped 10", 0), ("--strict", 1)):
        data = ("--data", "data", "--split", "test", *more.split())
        outcome = edgeseg("verify", seeded_bundle.folder, *data)
        assert outcome.status == status
        assert "a ::error::x \ufffd[31m.png cannot be read as an image" in outcome.err
        assert not any(line.startswith("::") for line in outcome.err.splitlines())
        assert "\x1b" not in outcome.err


def test_a_folder_that_takes_no_report_is_found_out_before_measuring(
    edgeseg, seeded_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_args: object, **_options: object) -> None:
        raise AssertionError("it was measured")

    monkeypatch.setattr("edgeseg.verification.verify.open_model", too_late)
    Path("taken").write_text("a file")
    outcome = edgeseg("verify", seeded_bundle.folder, "--report", "taken")
    assert outcome.status == 1
    assert "the report cannot be written to taken: " in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_failure_leaves_no_folder(edgeseg, seeded_bundle: Bundle) -> None:
    outcome = edgeseg("verify", seeded_bundle.folder, "--data", "missing", "--report", "r")
    assert outcome.status == 1
    assert not Path("r").exists()
    Path("r").mkdir()
    Path("r/report.json").write_text('{"candidate": {}, "gates": [], "passed": true}')
    shutil.copytree(seeded_bundle.folder, "b")
    next(Path("b").glob("*.onnx")).write_bytes(b"x")
    outcome = edgeseg("verify", "b", "--report", "r")
    assert outcome.status == 1
    assert [path.name for path in Path("r").iterdir()] == ["report.json"]


def test_every_field_is_as_the_published_schema_says(
    edgeseg, damaged: Bundle, seeded_bundle: Bundle, street: Path, golden
) -> None:
    """The schema is that of the code, and a report with all of its parts is valid by it."""
    import jsonschema

    from edgeseg.reports.report import make_json_schema

    text = json.dumps(make_json_schema(), indent=2) + "\n"
    published = Path(__file__).parents[2] / "docs" / "report.schema.json"
    golden("../../docs/report.schema.json", text)
    args = ["--data", street, "--split", "test", "--reference", seeded_bundle.folder, "--json"]
    Path("old.json").write_text(edgeseg("verify", seeded_bundle.folder, *args).out)
    outcome = edgeseg("verify", damaged.folder, *args, "--baseline", "old.json", "--report", "r")
    schema = json.loads(published.read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(outcome.json)
    for key in ("passed", "candidate", "gates", "machine"):
        broken = {name: value for name, value in outcome.json.items() if name != key}
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(broken)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**outcome.json, "miou": "high"})


def test_python_raises_what_the_command_line_prints(seeded_bundle: Bundle) -> None:
    import edgeseg as package

    with pytest.raises(EdgesegError, match="--max-drop needs images with ground truth"):
        package.verify(seeded_bundle.folder, max_drop=1.0)
    with pytest.raises(EdgesegError, match="protocol 'best' is not one of"):
        package.verify(seeded_bundle.folder, data="demo", protocol="best")
