from __future__ import annotations

import pytest

LONG = "a" * 300


@pytest.mark.parametrize(
    "command",
    [
        ["calibrate", LONG, "-o", "out"],
        ["run", "--source", LONG],
        ["export", "--weights", "demo", "--calibration", LONG, "--int8"],
    ],
    ids=lambda command: command[0],
)
def test_a_name_that_is_too_long_is_one_line(edgeseg, command: list[str]) -> None:
    outcome = edgeseg(*command)
    assert outcome.status == 1
    assert "cannot be read: File name too long" in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err
