"""What an export measured is kept for the next one, and measured again where it must be."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from search_limits import export

from edgeseg.accuracy.limits import Limits
from edgeseg.bundle.manifest import Accuracy
from edgeseg.bundle.store import open_bundle
from edgeseg.datasets import open_dataset
from edgeseg.deploy import job as job_module
from edgeseg.deploy import ship as ship_module
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.images import read_mask, write_mask
from edgeseg.quantize.meter import Meter
from edgeseg.runtime.backends import openvino as openvino_backend
from edgeseg.runtime.backends.backend import Backend


def test_a_second_export_measures_only_what_it_ships(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = export(request_)
    measured: list[str] = []
    measure = Meter.measure

    def counted(self: Meter, candidate: Backend, **options: Any) -> Accuracy:
        measured.append(candidate.name)
        return measure(self, candidate, **options)

    monkeypatch.setattr(Meter, "measure", counted)
    second, lines = export(request_)
    assert second.chosen.gate == first.chosen.gate
    assert len(measured) == len(second.manifest.variants)
    assert not any("calibrating" in line for line in lines)


def test_the_file_that_ships_is_measured_again(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that went wrong does not pass with the figures of what it is a copy of."""
    copy = ship_module.shutil.copyfile

    def damaged(source: Path, target: Path) -> None:
        copy(source, target)
        graph = onnx.load(target)
        for weight in graph.graph.initializer:
            if weight.data_type == onnx.TensorProto.INT8 and len(weight.dims) > 1:
                values = np.zeros_like(numpy_helper.to_array(weight))
                weight.CopyFrom(numpy_helper.from_array(values, weight.name))
        onnx.save(graph, target)

    monkeypatch.setattr(ship_module.shutil, "copyfile", damaged)
    with pytest.raises(GateMissedError, match="passed in the search, but the file to ship does"):
        export(replace(request_, limits=Limits(max_drop=40, max_class_drop=None)))
    assert request_.folder is not None
    assert not request_.folder.exists()


def test_another_truth_is_another_question(
    request_: ExportRequest, street: Path, tmp_path: Path, cache: Path
) -> None:
    """The same images under the same names: only a mask differs."""
    first, _ = export(request_)
    copy = tmp_path / "street"
    shutil.copytree(street, copy)
    mask = copy / "test" / "masks" / "100.png"
    write_mask(np.zeros_like(read_mask(mask)), mask)
    second, _ = export(replace(request_, dataset=open_dataset(copy, split="test")))
    assert len(list((cache / "searches").iterdir())) == 2
    about, before = second.manifest.evaluation, first.manifest.evaluation
    assert about is not None
    assert before is not None
    assert about.sha256 != before.sha256


def test_a_float_type_that_the_engine_refuses_is_out(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO may name a type that its kernels then do not have."""
    opened = job_module.open_to_prove

    def refusing(target: str, path: Path, compute: str, **options: Any) -> Backend:
        if compute == "bf16":
            raise BackendError("no kernel for bf16")
        return opened(target, path, compute, **options)

    monkeypatch.setattr(openvino_backend, "list_float_types", lambda: ("f32", "bf16"))
    monkeypatch.setattr(job_module, "open_to_prove", refusing)
    float_only = replace(request_, target="openvino", precision="auto", calibration=None)
    bundle, lines = export(float_only)
    assert {v.compute for v in bundle.manifest.variants} == {"f32"}
    assert any("bf16 is out: no kernel for bf16" in line for line in lines)
    with pytest.raises(GateMissedError, match="Nearest: bf16 failed in the search: no kernel"):
        export(replace(float_only, precision="fp16"))


@pytest.mark.long
def test_other_images_are_another_question(request_: ExportRequest, cache: Path) -> None:
    export(request_)
    export(replace(request_, calibration_images=11))
    assert len(list((cache / "searches").iterdir())) == 2


def test_a_killed_export_goes_on_and_leaves_no_half_bundle(
    checkpoint_folder: Path, street: Path, tmp_path: Path, cache: Path
) -> None:
    args = [
        *(sys.executable, "-m", "edgeseg", "export", "--weights", str(checkpoint_folder)),
        *("--target", "onnxruntime", "--int8", "--data", str(street), "--split", "test"),
        *("--max-drop", "90", "--max-class-drop", "100", "--recipe", "int8-linear"),
        *("-o", "out", "--json"),
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache.parent)}
    first = subprocess.Popen(
        args, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    until = time.monotonic() + 120
    while not list(cache.rglob("search_*int8_*.json")):
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    told = first.communicate()[1].decode()
    assert not (tmp_path / "out").exists()
    (kept,) = cache.rglob("chosen_form_*.json")
    form = (*json.loads(kept.read_text()), "exact")[0]
    assert re.search(rf"^form {form}:", told, re.MULTILINE)
    second = subprocess.run(
        args, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "calibrating" not in second.stderr
    assert f"model, data and limits: form {form}" in second.stderr
    assert "forms of the network to try" not in second.stderr
    assert json.loads(second.stdout)["chosen"]["precision"] == "int8"
    assert open_bundle(tmp_path / "out").chosen.precision == "int8"
    assert not list(tmp_path.glob(".out*"))
