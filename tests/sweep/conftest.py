"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.deploy.request import ExportOptions
from edgeseg.sweep.plan import Plan
from edgeseg.verification.request import VerifyRequest


@pytest.fixture
def plan(checkpoint_folder: Path, street: Path, tmp_path: Path) -> Plan:
    return Plan(
        weights=(str(checkpoint_folder),),
        targets=("onnxruntime",),
        precisions=("fp32",),
        sizes=((96, 128), (64, 96)),
        export=ExportOptions(data=str(street), split="test"),
        verify=VerifyRequest(source="sweep", data=str(street), split="test"),
        folder=tmp_path / "sweep",
    )
