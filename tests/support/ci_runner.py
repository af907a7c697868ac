"""What runners do with a composite action, a workflow and a job, as far as the CI kit needs it.

Whatever the kit does not use is refused, so that nothing is tested with another meaning than the
one that it has.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

# As https://docs.github.com/actions/reference/workflow-syntax-for-github-actions has it for `bash`.
BASH = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"]
PINNED = re.compile(r"actions/(checkout|setup-python|upload-artifact)@[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an action, a workflow or a job ended, and what it left."""

    status: int
    log: str
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    uploaded: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A machine with a checked-out repository, an action's own checkout, and a `PATH`."""

    workspace: Path
    action: Path
    bin: Path

    def run_action(self, inputs: Mapping[str, str], *, only: str = "") -> Outcome:
        """Run its steps, or the one named `only`, as far as the first that fails."""
        definition = load(self.action / "action.yml")
        contexts = {f"inputs.{k}": v for k, v in _given(definition["inputs"], inputs).items()}
        log, summary, status = "", "", 0
        for step in definition["runs"]["steps"]:
            _only_known(step, {"name", "id", "shell", "env", "run"})
            assert step["shell"] == "bash"
            if status or only not in {"", step["name"]}:
                continue
            env = {k: evaluate(v, contexts) for k, v in step["env"].items()}
            done = self.run_step(step["run"], env | {"GITHUB_ACTION_PATH": str(self.action)})
            status = done.status
            log, summary = log + done.log, summary + done.summary
            if "id" in step:
                contexts |= {f"steps.{step['id']}.outputs.{k}": v for k, v in done.outputs.items()}
        values = {k: v["value"] for k, v in definition["outputs"].items()}
        outputs = {k: evaluate(v, contexts, absent="") for k, v in values.items()}
        return Outcome(status=status, log=log, summary=summary, outputs=outputs)

    def run_workflow(self, workflow: Path) -> Outcome:
        """Run its one job; what comes from actions/ is there already, or has its path noted."""
        (job,) = load(workflow)["jobs"].values()
        _only_known(job, {"runs-on", "timeout-minutes", "steps"})
        ended = Outcome(status=0, log="")
        uploaded = []
        for step in job["steps"]:
            _only_known(step, {"uses", "with", "if", "id", "run", "env"})
            assert step.get("if") in {None, "always()"}
            if ended.status and "if" not in step:
                continue
            if "run" in step:
                done = self.run_step(step["run"], step.get("env", {}))
            elif step["uses"].startswith("OWNER/edgeseg@"):
                done = self.run_action(step["with"])
            else:
                assert PINNED.fullmatch(step["uses"])
                if "upload-artifact" in step["uses"]:
                    uploaded.append(self.workspace / step["with"]["path"])
                continue
            ended = Outcome(
                status=ended.status or done.status,
                log=ended.log + done.log,
                summary=ended.summary + done.summary,
                outputs=done.outputs,
            )
        return replace(ended, uploaded=tuple(uploaded))

    def run_step(self, script: str, env: Mapping[str, str]) -> Outcome:
        """Run a script with the files that a step may write to."""
        assert "${{" not in script, "an expression in a script can become a command"
        with tempfile.TemporaryDirectory() as folder:
            output, summary = Path(folder, "output"), Path(folder, "summary")
            output.touch()
            summary.touch()
            files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
            github = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(self.workspace)}
            status, log = self._bash(script, {**github, **files, **env})
            pairs = (line.split("=", 1) for line in output.read_text().splitlines())
            return Outcome(status=status, log=log, summary=summary.read_text(), outputs=dict(pairs))

    def run_gitlab(self, job: Mapping[str, Any], variables: Mapping[str, str]) -> Outcome:
        """Run a job's lines in one shell, as GitLab does; `variables` come before the job's own."""
        env = {"CI_PROJECT_DIR": str(self.workspace), **job["variables"], **variables}
        lines = "\n".join([*job["before_script"], *job["script"]])
        status, log = self._bash(lines, env)
        return Outcome(status=status, log=log)

    def _bash(self, script: str, env: Mapping[str, str]) -> tuple[int, str]:
        path = os.pathsep.join([str(self.bin), os.environ["PATH"]])
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
            file.write(script)
            file.flush()
            done = subprocess.run(
                [*BASH, file.name],
                cwd=self.workspace,
                env={**os.environ, "PATH": path, "CI": "true", **env},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        return done.returncode, done.stdout


def load(path: Path) -> dict[Any, Any]:
    """A YAML file; `on` is True in it, as YAML 1.1 has it."""
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return loaded


def evaluate(text: str, contexts: Mapping[str, str], *, absent: str | None = None) -> str:
    """Replace `${{ NAME }}`; a step's output that was not set is `absent`.

    Raises:
        KeyError: anything else between the braces, or a name that is not known.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if absent is not None and name.startswith("steps."):
            return contexts.get(name, absent)
        return contexts[name]

    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", value, text)


def _given(declared: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, str]:
    """The inputs with their defaults, all of them text."""
    _only_known(inputs, declared.keys())
    values = {name: d["default"] for name, d in declared.items() if not d.get("required")}
    values |= {name: str(value) for name, value in inputs.items()}
    assert values.keys() == declared.keys(), "a required input is absent"
    return values


def _only_known(found: Mapping[str, Any], known: Any) -> None:
    assert set(found) <= set(known), (
        f"the runner of the tests does not know {set(found) - set(known)}"
    )
