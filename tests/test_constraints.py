"""Every package that edgeseg names is pinned: a new release must not change what was tested."""

from __future__ import annotations

import itertools
import sys

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info < (3, 11):
    pytest.skip("tomllib is in Python 3.11 and later", allow_module_level=True)
import tomllib

HERE = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}


def _read_constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    told = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(dict(HERE))]
    return {canonicalize_name(pin.name): str(pin.specifier) for pin in told}


def test_every_package_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    needed = [Requirement(text) for text in texts]
    names = {
        canonicalize_name(one.name)
        for one in needed
        if one.marker is None or one.marker.evaluate(dict(HERE))
    }
    pins = _read_constraints()
    # Torch's builds with CUDA bring their own versions of NVIDIA's packages.
    free = {name for name in names if name.startswith("nvidia-cuda-")}
    assert free == {"nvidia-cuda-nvrtc", "nvidia-cuda-runtime"}
    assert names - set(pins) - {"edgeseg"} == free
    assert free.isdisjoint(pins)
    assert all(pins[name].startswith("==") for name in names & set(pins))
