"""The check of sizes in `make lint` finds what is too large, and says where."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_sizes import FILE_LINES, FUNCTION_LINES, PARAMETERS, check_file, main

LONG = "def long():\n" + "    pass\n" * FUNCTION_LINES
WIDE = f"def wide({', '.join(f'a{n}' for n in range(PARAMETERS + 1))}): ...\n"
WIDEST_METHOD = (
    f"class A:\n    def fit(self, {', '.join(f'a{n}' for n in range(PARAMETERS))}): ...\n"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LONG, f"long has {FUNCTION_LINES + 1} lines"),
        (LONG.replace("def", "async def"), f"long has {FUNCTION_LINES + 1} lines"),
        (WIDE, f"wide takes {PARAMETERS + 1} parameters"),
        ("\n" * (FILE_LINES + 1), f"{FILE_LINES + 1} lines"),
    ],
    ids=["function", "coroutine", "parameters", "file"],
)
def test_what_is_too_large_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    says: str,
) -> None:
    path = tmp_path / "large.py"
    path.write_text(text)
    monkeypatch.setattr("sys.argv", ["check_sizes.py", str(path)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", [LONG.replace("    pass\n", "", 1), WIDEST_METHOD, "\n" * FILE_LINES, ""]
)
def test_the_largest_that_may_be_passes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "small.py"
    path.write_text(text)
    assert not list(check_file(path))
