"""What stands in for TensorRT and a board is like them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from rtx import docstrings

from edgeseg.machine.jetson import read_jetson, read_state


def test_a_board_is_recognized(tmp_path: Path) -> None:
    assert (read_jetson(tmp_path).model, read_jetson(tmp_path).jetpack) == ("", "")
    assert read_state(tmp_path).power_mode is None
    files = {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet\n",
        "sys/class/devfreq/17000000.gpu/cur_freq": "624750000\n",
        "sys/class/thermal/thermal_zone0/temp": "48125\n",
        "sys/class/thermal/thermal_zone1/temp": "51500\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    board, now = read_jetson(tmp_path), read_state(tmp_path)
    assert board.model == "NVIDIA Jetson Orin Nano Developer Kit"
    assert (board.l4t, board.jetpack) == ("36.4.3", "6")
    assert (now.power_mode, now.gpu_mhz, now.temperature_c) == ("2", 624.75, 51.5)


def stub() -> Iterator[tuple[str, str, list[str]]]:
    """Each class of the stub with each function of it and the names of its arguments."""
    text = (Path(__file__).parents[3] / "stubs" / "tensorrt" / "__init__.pyi").read_text()
    for kind in ast.parse(text).body:
        if isinstance(kind, ast.ClassDef):
            for part in kind.body:
                if isinstance(part, ast.FunctionDef) and not part.name.startswith("__"):
                    yield kind.name, part.name, [a.arg for a in part.args.args[1:]]


def test_the_stub_is_like_the_bindings_of_tensorrt_rtx() -> None:
    """RTX's bindings are generated as TensorRT's are; where both have a thing, it is called alike.

    A Jetson's TensorRT was not at hand.
    """
    if find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT-RTX is not installed")
    functions = {f"{kind}.{name}": arguments for kind, name, arguments in stub()}
    values = [
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "MemoryPoolType.WORKSPACE",
        "TensorIOMode.INPUT",
        "TensorIOMode.OUTPUT",
        "IBuilderConfig.progress_monitor",
        "IBuilderConfig.num_compute_capabilities",
        "ComputeCapability.CURRENT",
        "ILogger.Severity.INTERNAL_ERROR",
        "ILogger.Severity.ERROR",
    ]
    found = docstrings([*functions, *values])
    assert list(found) == [*functions, *values]
    assert len(functions) > 20
    for name, arguments in functions.items():
        assert all(f"{argument}:" in found[name] for argument in arguments), (name, found[name])
