"""`action.yml` and `docs/ci/`, as a runner would execute them: real scripts, a real bundle."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ci_kit import FORMS, KIT
from ci_runner import Outcome, Runner, evaluate
from conftest import ROOT

from edgeseg.images import write_mask
from edgeseg.reports.report import read_report

SCHEMAS = {
    ROOT / "action.yml": "vendor.github-actions",
    KIT / "github-workflow.yml": "vendor.github-workflows",
    KIT / "gitlab-ci.yml": "vendor.gitlab-ci",
}


HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    '"; touch pwned; "',
    "'; touch pwned; '",
    "two  words; touch pwned",
    "*",
    "-x",
    "one\ntouch pwned",
]


INPUTS = {
    "bundle": "models/street",
    "data": "data/street",
    "split": "test",
    "baseline": "models/street-baseline.json",
}


@pytest.fixture(scope="module")
def workflow(
    source: Path, fresh: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Runner, Outcome]:
    """The whole example, from the installation on; the machine stays as it leaves it."""
    workspace = shutil.copytree(prepared, tmp_path_factory.mktemp("runner") / "workspace")
    runner = Runner(workspace=Path(workspace), action=source, bin=fresh)
    return runner, runner.run_workflow(KIT / "github-workflow.yml")


@pytest.fixture
def installed(workflow: tuple[Runner, Outcome], workspace: Path) -> Runner:
    """A machine with edgeseg, and a repository of its own."""
    runner, outcome = workflow
    assert outcome.status == 0, outcome.log
    return Runner(workspace=workspace, action=runner.action, bin=runner.bin)


@pytest.fixture
def empty(tmp_path: Path) -> Runner:
    """An empty repository, with an `edgeseg` and a `python` that only note their arguments.

    That `edgeseg` also writes a report.
    """
    programs, workspace = tmp_path / "programs", tmp_path / "workspace"
    programs.mkdir()
    workspace.mkdir()
    note = '#!/bin/bash\nprintf "%s\\0" "$@" >"$0.arguments"\n'
    report = 'for word; do case "$word" in --report=*) folder="${word#--report=}"; esac; done\n'
    write = 'mkdir -p -- "$folder"; echo passed >"$folder/report.md"\n'
    write += 'echo \'  "passed": true,\' >"$folder/report.json"\n'
    for name, script in (("python", note), ("edgeseg", note + report + write)):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return Runner(workspace=workspace, action=ROOT, bin=programs)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_accepts_the_file_and_no_misspelling(path: Path, tmp_path: Path) -> None:
    good = _check_schema(path, SCHEMAS[path])
    assert good.returncode == 0, good.stdout
    wrong = tmp_path / path.name
    misspelled = re.sub(r"(?m)^( *)(runs|runs-on|script):", r"\1\2n:", path.read_text(), count=1)
    wrong.write_text(misspelled)
    assert misspelled != path.read_text()
    assert _check_schema(wrong, SCHEMAS[path]).returncode == 1


def test_the_workflow_installs_measures_and_uploads(workflow: tuple[Runner, Outcome]) -> None:
    runner, outcome = workflow
    assert outcome.status == 0, outcome.log
    assert outcome.outputs == {"report": "edgeseg-report", "passed": "true"}
    assert "passed" in outcome.summary.lower()
    (folder,) = outcome.uploaded
    assert {path.name for path in folder.iterdir()} >= FORMS
    report = read_report(folder / "report.json")
    assert report.passed
    assert report.baseline is not None
    assert "size" in {gate.name for gate in report.gates}
    assert list(runner.bin.parent.glob("lib/python*/site-packages/edgeseg/cli/main.py"))


def test_only_actions_are_used_whose_commit_is_given() -> None:
    for path in (KIT / "github-workflow.yml", ROOT / "action.yml"):
        used = re.findall(r"uses: (\S+)", path.read_text())
        assert all(re.search(r"@([0-9a-f]{40}|COMMIT)$", name) for name in used)
        assert "secrets." not in path.read_text()


def test_a_missed_limit_fails_and_is_told(installed: Runner) -> None:
    inputs = INPUTS | {"arguments": "--max-size-mb '0.001'", "config": "edgeseg.toml"}
    outcome = installed.run_action(inputs, only="Verify")
    assert outcome.status == 3, outcome.log
    assert outcome.outputs == {"report": "edgeseg-report", "passed": "false"}
    assert "`size`" in outcome.summary
    assert not read_report(installed.workspace / "edgeseg-report" / "report.json").passed


def test_the_workflow_uploads_the_report_of_a_missed_limit(empty: Runner) -> None:
    program = empty.bin / "edgeseg"
    program.write_text(program.read_text() + "exit 3\n")
    outcome = empty.run_workflow(KIT / "github-workflow.yml")
    assert (outcome.status, outcome.outputs["passed"]) == (3, "false")
    assert (outcome.uploaded[0] / "report.md").exists()


def test_what_was_not_judged_fails_and_is_told(installed: Runner) -> None:
    """Three masks of ten do not fit; the limits on what was measured are all kept."""
    for path in sorted((installed.workspace / "data/street/test/masks").iterdir())[:3]:
        write_mask(np.zeros((3, 3), np.uint8), path)
    inputs = INPUTS | {"baseline": ""}
    outcome = installed.run_action(inputs, only="Verify")
    assert outcome.status == 3, outcome.log
    assert outcome.outputs["passed"] == "false"
    assert "NOT JUDGED" in outcome.summary
    report = read_report(installed.workspace / "edgeseg-report" / "report.json")
    assert "data set" in {one.name for one in report.unjudged}


def test_what_no_limit_applies_to_has_not_passed(empty: Runner) -> None:
    program = empty.bin / "edgeseg"
    program.write_text(program.read_text().replace("true,", "null,"))
    outcome = empty.run_action({"bundle": "b", "data": "d"}, only="Verify")
    assert (outcome.status, outcome.outputs["passed"]) == (0, "false")


def test_what_cannot_be_measured_fails_without_a_verdict(installed: Runner) -> None:
    """An older report is not taken for this run's, nor uploaded as such; other files stay."""
    left = installed.workspace / "edgeseg-report"
    left.mkdir()
    for name in (*FORMS, "notes.txt"):
        (left / name).write_text("passed")
    outcome = installed.run_action(INPUTS | {"data": "elsewhere"}, only="Verify")
    assert outcome.status == 1
    assert [path.name for path in left.iterdir()] == ["notes.txt"]
    assert outcome.outputs["passed"] == "false"
    assert outcome.summary.startswith("edgeseg verify gave no verdict (exit status 1)")
    assert "elsewhere" in outcome.log
    helped = installed.run_action(INPUTS | {"arguments": "--help"}, only="Verify")
    assert (helped.status, helped.outputs["passed"]) == (1, "false")


@pytest.mark.parametrize("value", HOSTILE)
def test_inputs_are_data_and_never_commands(value: str, empty: Runner) -> None:
    """Each reaches the program as one argument, whatever is in it."""
    names = ("bundle", "data", "split", "reference", "baseline", "config", "report", "extras")
    outcome = empty.run_action(dict.fromkeys(names, value))
    options = [f"--{name}={value}" for name in ("split", "reference", "baseline", "config")]
    told = (empty.bin / "edgeseg.arguments").read_text().split("\0")[:-1]
    assert told == ["verify", *options, f"--data={value}", f"--report={value}", "--", value]
    asked = (empty.bin / "python.arguments").read_text().split("\0")[:-1]
    assert asked[-1] == f"{ROOT}[{value}]"
    assert outcome.outputs["passed"] == "true"
    assert {path.name for path in empty.workspace.iterdir()} == {value}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", []),
        ("--strict\n  --max-drop 0.5\n", ["--strict", "--max-drop", "0.5"]),
        ("--config 'two words' \"a b\"", ["--config", "two words", "a b"]),
        (
            "$(touch pwned) `touch pwned` $HOME *",
            ["$(touch", "pwned)", "`touch", "pwned`", "$HOME", "*"],
        ),
        ("; touch pwned; -n", [";", "touch", "pwned;", "-n"]),
        ('"; touch pwned', None),
    ],
)
def test_arguments_are_split_and_not_expanded(
    value: str, words: list[str] | None, empty: Runner
) -> None:
    outcome = empty.run_action({"bundle": "b", "data": "d", "arguments": value}, only="Verify")
    if words is None:
        assert (outcome.status, outcome.outputs["passed"]) == (1, "false")
        assert not (empty.bin / "edgeseg.arguments").exists()
    else:
        told = (empty.bin / "edgeseg.arguments").read_text().split("\0")[1:-1]
        assert told == [*words, "--data=d", "--report=edgeseg-report", "--", "b"]
    assert {path.name for path in empty.workspace.iterdir()} <= {"edgeseg-report"}


def test_hostile_inputs_are_refused_by_edgeseg_itself(installed: Runner) -> None:
    value = "$(touch pwned); touch pwned"
    names = ("bundle", "data", "split", "baseline", "reference", "config", "report", "arguments")
    outcome = installed.run_action(dict.fromkeys(names, value), only="Verify")
    assert outcome.status in {1, 2}, outcome.log
    assert outcome.outputs["passed"] == "false"
    assert not list(installed.workspace.rglob("pwned"))


def test_an_expression_that_is_not_known_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        evaluate("${{ github.event.issue.title }}", {"inputs.data": "street"})


def _check_schema(path: Path, schema: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
