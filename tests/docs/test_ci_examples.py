"""The GitLab job and the pytest example, run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ci_kit import FORMS, KIT, _guide
from ci_runner import Runner, load

from edgeseg.reports.report import read_report


@pytest.mark.long
def test_the_gitlab_job_installs_measures_and_reports(
    source: Path, fresh: Path, workspace: Path
) -> None:
    (job,) = load(KIT / "gitlab-ci.yml").values()
    runner = Runner(workspace=workspace, action=source, bin=fresh)
    variables = {"EDGESEG_URL": str(source), "EDGESEG_COMMIT": "HEAD"}
    outcome = runner.run_gitlab(job, variables)
    assert outcome.status == 0, outcome.log
    artifacts = job["artifacts"]
    assert {path.name for path in (workspace / artifacts["paths"][0]).iterdir()} >= FORMS
    assert ET.parse(workspace / artifacts["reports"]["junit"]).find(".//testcase") is not None
    shutil.rmtree(workspace / "data")
    failed = runner.run_gitlab({**job, "before_script": []}, variables)
    assert failed.status == 1, failed.log


def test_the_pytest_example_passes(workspace: Path) -> None:
    result = _pytest(workspace, (KIT / "test_accuracy.py").read_text())
    assert result.returncode == 0, result.stdout
    assert read_report(workspace / "edgeseg-report" / "report.json").passed


def test_the_pytest_example_fails_where_a_limit_is_missed(workspace: Path) -> None:
    text = (KIT / "test_accuracy.py").read_text()
    strict = text.replace("max_drop=0.5", "limits=edgeseg.Limits(min_agreement=100)")
    result = _pytest(workspace, strict.replace('report="edgeseg-report",', ""))  # which takes time
    assert result.returncode == 1, result.stdout
    assert "assert not ['pixel agreement: " in result.stdout


def test_the_pytest_example_fails_where_something_is_not_judged(workspace: Path) -> None:
    for path in sorted((workspace / "data/street/test/masks").iterdir())[:3]:
        path.unlink()
    text = (KIT / "test_accuracy.py").read_text()
    for line in ('baseline="models/street-baseline.json",', 'report="edgeseg-report",'):
        text = text.replace(line, "")
    result = _pytest(workspace, text)
    assert result.returncode == 1, result.stdout
    assert "data set was not judged: 3 of 10 images were skipped" in result.stdout


def test_the_guide_shows_the_files_as_they_are() -> None:
    languages = {".yml": "yaml", ".py": "python", ".toml": "toml"}
    files = [path for path in KIT.iterdir() if path.is_file()]
    assert {path.suffix for path in files} == set(languages)
    for path in files:
        assert f"```{languages[path.suffix]}\n{path.read_text()}```" in _guide()


def _pytest(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_accuracy.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
