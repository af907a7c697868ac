"""The reference of the command line has every option, and says truly what `--json` prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_reference import JSON_KEYS, write_command_reference
from report_reference import write_report_reference

from edgeseg.bundle.store import Bundle
from edgeseg.cli.main import list_commands
from edgeseg.cli.parameters import Parameter
from edgeseg.cli.usage import check_usage
from edgeseg.reports.report import Report

if TYPE_CHECKING:
    from outcome import Outcome


@pytest.fixture(scope="module")
def sections() -> Mapping[str, str]:
    _, *parts = re.split(r"^## edgeseg (\w+)$", write_command_reference(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize(
    ("command", "parameter"),
    [
        (name, one)
        for name, command in list_commands().items()
        for one in command.parameters
        if one.name != "--help"  # which stands in the page's first line
    ],
    ids=lambda value: value.name if isinstance(value, Parameter) else value,
)
def test_every_option_and_argument_has_a_row(
    sections: Mapping[str, str], command: str, parameter: Parameter
) -> None:
    for spelling in parameter.spellings + parameter.off or (parameter.name.replace("|", "\\|"),):
        assert re.search(rf"^\| .*`{re.escape(spelling)}`.* \|$", sections[command], re.MULTILINE)


@pytest.mark.parametrize("command", list_commands())
def test_every_command_has_an_example_and_its_output(
    sections: Mapping[str, str], command: str
) -> None:
    assert f"```sh\nedgeseg {command}" in sections[command]
    assert "`--json` prints" in sections[command]
    (example,) = re.findall(r"^```sh\nedgeseg (.*)$", sections[command], re.MULTILINE)
    check_usage(shlex.split(example), list_commands())


def test_values_defaults_and_help_are_shown(sections: Mapping[str, str]) -> None:
    def row(command: str, option: str) -> list[str]:
        (line,) = re.findall(rf"^\| .*`{option}`.*\|$", sections[command], re.MULTILINE)
        return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]

    assert row("bench", "--frames")[1:3] == ["a whole number, 1 or more", "`50`"]
    assert row("export", "--target")[1:3] == [
        "`onnxruntime`, `openvino`, `jetson`, `rtx`",
        "`onnxruntime`",
    ]
    assert row("verify", "--threads")[2:] == ["one per core", "Number of engine threads."]
    assert row("calibrate", "--output")[:3] == ["`--output`, `-o`", "a path", "needed"]
    assert "EDGESEG_PREVIEW_TOKEN" in row("run", "--preview-token")[3]


@pytest.mark.parametrize(
    "command",
    ["run --source demo --frames 2", "bench --frames 1", "build", "doctor", "sources", "calibrate"],
)
def test_the_keys_of_json(
    edgeseg: Callable[..., Outcome], seeded_bundle: Bundle, command: str, tmp_path: Path
) -> None:
    name, *options = command.split()
    if name in {"run", "bench", "build"}:
        options = [str(seeded_bundle.folder), *options]
    if name == "calibrate":
        golden = seeded_bundle.folder / "golden"
        options = [str(golden), "-o", str(tmp_path / "set"), "--images", "2"]
    outcome = edgeseg(name, *options, "--json")
    assert outcome.status == 0, outcome.err
    assert set(outcome.json) == set(JSON_KEYS[name])


def test_the_keys_of_an_export(
    edgeseg: Callable[..., Outcome], checkpoint_folder: Path, tmp_path: Path
) -> None:
    outcome = edgeseg("export", "--weights", checkpoint_folder, "-o", tmp_path / "b", "--json")
    assert set(outcome.json) == set(JSON_KEYS["export"])


def test_every_field_of_a_report_is_described() -> None:
    text = write_report_reference().partition("## Report")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", text, re.MULTILINE) == list(Report.__struct_fields__)
