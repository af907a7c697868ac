"""Wrong usage is told in one line, with what was most likely meant, whatever the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import pytest
import typer

from edgeseg.cli.main import list_commands
from edgeseg.cli.parameters import Command, Parameter, read_command

COMMANDS = list_commands()
OPTIONS = [
    pytest.param(command, option, id=f"{command.name} {option.name}")
    for command in COMMANDS.values()
    for option in dict.fromkeys(command.options.values())
    if option.name != "--help"
]
VALUED = [case for case in OPTIONS if not case.values[1].is_flag]


def refused(outcome) -> str:
    """The one line, without the program's name."""
    assert (outcome.status, outcome.out) == (2, ""), outcome
    (line,) = outcome.err.splitlines()
    assert line.startswith("edgeseg: ")
    return line.removeprefix("edgeseg: ")


def needed(command: Command) -> list[str]:
    """What the command asks for at least, right in form."""
    words = [argument.name.lower() for argument in command.arguments if argument.required]
    for option in dict.fromkeys(command.options.values()):
        words += [option.name, "x"] if option.required else []
    return words


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_unknown_option(edgeseg, command: Command) -> None:
    line = refused(edgeseg(command.name, *needed(command), "--frobnicate", "x"))
    assert line == f"{command.name} has no --frobnicate; see edgeseg {command.name} --help"


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_a_letter_too_few(edgeseg, command: Command, option: Parameter) -> None:
    slip = option.name[:-1]
    if slip in command.options:
        pytest.skip(f"{slip} is an option, too")
    line = refused(edgeseg(command.name, slip, "x"))
    assert line.startswith(f"{command.name} has no {slip}")
    assert line.endswith(f"did you mean {option.name}?")


@pytest.mark.parametrize(("command", "option"), VALUED)
def test_an_option_without_its_value(edgeseg, command: Command, option: Parameter) -> None:
    if option.name == "--preview":
        pytest.skip("stands without a value, too")
    for end in ([], ["--json"]):
        if "--json" not in command.options:
            continue
        line = refused(edgeseg(command.name, option.name, *end))
        assert line == f"{option.name} needs {option.takes} after it"


@pytest.mark.parametrize(("command", "option"), VALUED)
def test_an_empty_value(edgeseg, command: Command, option: Parameter) -> None:
    if option.name == "--preview":
        pytest.skip("stands without a value, too")
    line = refused(edgeseg(command.name, option.name, ""))
    assert line == f"{option.name} is empty; is a variable not set?"


@pytest.mark.parametrize(("command", "option"), [c for c in VALUED if not c.values[1].repeated])
def test_an_option_given_twice(edgeseg, command: Command, option: Parameter) -> None:
    numbers = option.kind in {int, float} or option.name == "--preview"  # a port
    one, other = option.choices[:2] or (("1", "2") if numbers else ("x", "y"))
    line = refused(edgeseg(command.name, option.name, one, option.name, other))
    assert line == f"{option.name} is given twice, and takes one value; leave one out"


@pytest.mark.parametrize(("command", "option"), [c for c in OPTIONS if c.values[1].is_flag])
def test_a_flag_with_a_value(edgeseg, command: Command, option: Parameter) -> None:
    line = refused(edgeseg(command.name, f"{option.name}=yes"))
    assert line == f"{option.name} takes no value; give {option.name} alone"


NUMBERS = [case for case in VALUED if case.values[1].kind in {int, float}]


@pytest.mark.parametrize("value", ["many", "nan", "1,5", "0x10"])
@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_no_number(edgeseg, command: Command, option: Parameter, value: str) -> None:
    line = refused(edgeseg(command.name, option.name, value))
    assert line == f"{option.name} takes {option.takes}; got {value}"


@pytest.mark.parametrize(("command", "option"), [c for c in NUMBERS if c.values[1].low is not None])
def test_too_small_a_number(edgeseg, command: Command, option: Parameter) -> None:
    line = refused(edgeseg(command.name, option.name, "-1"))
    assert line == f"{option.name} is {option.low:g} or more; got -1"


@pytest.mark.parametrize(("command", "option"), [c for c in VALUED if c.values[1].choices])
def test_no_such_choice(edgeseg, command: Command, option: Parameter) -> None:
    line = refused(edgeseg(command.name, option.name, "xyz"))
    assert line == f"{option.name} cannot be xyz; it takes {option.takes}"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_argument_too_many(edgeseg, command: Command) -> None:
    if any(argument.repeated for argument in command.arguments):
        pytest.skip("takes any number")
    arguments = ["x"] * len(command.arguments)
    line = refused(edgeseg(command.name, *arguments, "more"))
    assert line.startswith(f"unexpected more: {command.name} takes ")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_is_missing(edgeseg, command: Command) -> None:
    missing = [parameter.name for parameter in command.parameters if parameter.required]
    if not missing:
        pytest.skip("needs nothing")
    line = refused(edgeseg(command.name))
    assert line.startswith(f"{command.name} needs {' and '.join(missing)}; see")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("run --input x", "--source"),
        ("run --video x", "--source"),
        ("run --images x", "--source"),
        ("run -i x", "--source"),
        ("run --model x", "BUNDLE without an option, as: edgeseg run BUNDLE"),
        ("run --weights x", "BUNDLE without an option, as: edgeseg run BUNDLE"),
        ("run --out x", "--save"),
        ("run --headless", "--no-show"),
        ("run -source x", "--source"),
        ("run --Source x", "--source"),
        ("run --camera_size 1x1", "--camera-size"),
        ("run -h", "--help"),
        ("calibrate --source x", "SOURCE without an option, as: edgeseg calibrate SOURCE"),
        ("calibrate --count 3", "--images"),
        ("export --checkpoint x", "--weights"),
        ("export --backend x", "--target"),
        ("export --quantize", "--int8"),
        ("export --dataset x", "--data"),
        ("verify --dataset x", "--data"),
        ("verify --source x", "--data"),
        ("bench --iterations 3", "--frames"),
        ("sweep --imgsz 3", "--size"),
        ("export --target tensorrt", "jetson"),
        ("export --target onnx", "onnxruntime"),
        ("export --target OpenVINO", "openvino"),
        ("export --precision half", "fp16"),
        ("export --model segformer-b2", "b2"),
        ("verify b --protocol sliding", "slide"),
        ("infer x", "run"),
        ("benchmark x", "bench"),
        ("exprot x", "export"),
        ("clip.mp4", ": edgeseg run --source clip.mp4"),
        ("--verison", "--version"),
    ],
)
def test_what_was_meant(edgeseg, words: str, meant: str) -> None:
    line = refused(edgeseg(*words.split()))
    assert f"did you mean{'' if meant[0] == ':' else ' '}{meant}?" in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("run --target x", "run has no --target; --target belongs to export and sweep;"),
        ("run --weights x", "--weights belongs to export and sweep"),
        (
            "verify b --preview",
            "verify has no --preview; --preview belongs to run; see edgeseg verify",
        ),
        ("run -o x", "-o belongs to export, sweep and calibrate; did you mean --save?"),
        ("--source x", "put the command before --source, as: edgeseg run --source"),
        ("export CKPT", "give it as --weights CKPT"),
        ("run street drive", "give it as --source drive"),
        ("run --show --no-show", "--show and --no-show exclude each other"),
        ("export -o=x", "-o takes its value without =: -o x"),
        ("run b 0", "unexpected 0: run takes one BUNDLE; give it as --camera 0"),
        ("run b /dev/video1", "give it as --camera /dev/video1"),
        ("run --camera front", "a whole number, or a device such as /dev/video0; got front"),
        ("run --camera=-1", "a whole number, or a device such as /dev/video0; got -1"),
        ("run --camera drive.mp4", "drive.mp4 is a video, not a camera; give it as --source"),
        ("run --source f/a.png f/b.png f/c.png", "put a pattern in quotes: --source 'f/*.png'"),
        ("run b --source f/a.png f/b.png", "put a pattern in quotes: --source 'f/*.png'"),
    ],
)
def test_the_remedy(edgeseg, words: str, says: str) -> None:
    assert says in refused(edgeseg(*words.split()))


@pytest.mark.parametrize(
    "words",
    [
        ["run", "rtsp://me:secret@host/1"],
        ["run", "b", "rtsp://me:secret@host/1"],
        ["build", "rtsp://me:secret@host/1"],
        ["rtsp://me:secret@host/1"],
        ["run", "--frames", "rtsp://me:secret@host/1"],
        ["run", "--source", "rtsp://me:secret@host/1", "--source", "x.toml"],
        ["run", "--source", "a", "--source", "b", "--restream", "udp://me:secret@host/1"],
        ["run", "--gstreamer", "rtspsrc location=rtsp://me:secret@h !", "--source", "x.toml"],
        ["run", "--preview-token", "secret", "--preview-token", "other"],
        ["run", "--password=secret"],
    ],
    ids=" ".join,
)
def test_a_refusal_repeats_no_password(edgeseg, words: list[str]) -> None:
    assert "secret" not in refused(edgeseg(*words))


def test_hints_as_every_python_gives_them() -> None:
    """Python 3.10 puts an Optional around a parameter whose default is None."""
    plain = Annotated[Path | None, typer.Option("-o", "--output")]
    for hint in (plain, Optional[plain]):  # noqa: UP045  # as typing gives it

        def command(*, output=None) -> None: ...

        command.__annotations__["output"] = hint
        (option,) = read_command(command).parameters[:1]
        assert (option.name, option.kind, option.required) == ("--output", Path, False)


def test_the_help_is_shown_without_a_command(edgeseg) -> None:
    outcome = edgeseg()
    assert outcome.status == 2
    assert "Commands" in outcome.out


def test_arguments_after_two_dashes(edgeseg) -> None:
    assert "no bundle at --x" in edgeseg("build", "--", "--x").err


def test_a_short_option_may_hold_its_value(edgeseg) -> None:
    assert "no weights given" in edgeseg("export", "-ofolder").err


@pytest.mark.parametrize(
    "words",
    [
        "run missing --preview",
        "run missing --preview --frames 1",
        "run missing --preview :8009",
        "run missing --preview 0.0.0.0:8009 --preview-token 0123456789",
        "run missing --preview --source demo",
    ],
)
def test_a_preview_with_and_without_an_address(edgeseg, words: str) -> None:
    outcome = edgeseg(*words.split())
    assert outcome.status == (2 if "--source" not in words else 1)
    assert "preview" not in outcome.err


@pytest.mark.parametrize("command", ["verify", "export", "sweep"])
def test_a_limit_out_of_range_is_named_as_it_was_given(edgeseg, command: str) -> None:
    words = needed(COMMANDS[command])
    outcome = edgeseg(command, *words, "--max-class-drop", 950)
    assert refused(outcome) == "--max-class-drop is 0 to 100 points; got 950"
