"""A checkpoint that is measured, or referred to, is read as the user says: here and on workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from oracle import change, small_demo, street, transformers_mask
from PIL import Image

from edgeseg.datasets import open_dataset
from edgeseg.deploy.request import ExportOptions
from edgeseg.overrides import NO_OVERRIDES, parse_overrides
from edgeseg.sweep.identity import describe_data, list_dependencies
from edgeseg.sweep.plan import Plan, list_cells
from edgeseg.verification.opening import open_model, reopen
from edgeseg.verification.request import VerifyRequest

if TYPE_CHECKING:
    from outcome import Outcome

OTHER = parse_overrides(
    mean="0.1,0.2,0.3", std=None, channel_order=None, resize="pillow-nearest,keep"
)


def test_the_address_keeps_what_was_said(tmp_path: Path) -> None:
    folder = small_demo(tmp_path / "demo")
    model = open_model(str(folder), overrides=OTHER)
    assert model.input.mean == (0.1, 0.2, 0.3)
    assert reopen(model.address).input == model.input
    assert open_model(str(folder)).input != model.input


def test_verify_measures_the_checkpoint_as_it_was_said(
    edgeseg: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Truth is what transformers says with another mean: it is met with --mean, and else not."""
    folder, told = small_demo(tmp_path / "demo"), small_demo(tmp_path / "told")
    change(told / "preprocessor_config.json", image_mean=[0.1, 0.2, 0.3])
    for part in ("images", "masks"):
        (tmp_path / "data" / part).mkdir(parents=True)
    frame = street()
    rgb = np.ascontiguousarray(frame[:, :, ::-1])
    Image.fromarray(rgb).save(tmp_path / "data" / "images" / "a.png")
    mask = transformers_mask(told, frame)
    Image.fromarray(mask).save(tmp_path / "data" / "masks" / "a.png")
    names = json.loads((folder / "config.json").read_text())["id2label"]
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"classes": list(names.values())}))
    figures = {}
    for given in ((), ("--mean", "0.1,0.2,0.3")):
        done = edgeseg("verify", folder, "--data", tmp_path / "data", "--json", *given)
        assert done.status == 0, done.err
        figures[bool(given)] = json.loads(done.out)["miou"]
    assert figures[True] > 99
    assert figures[False] < 95


def test_a_sweeps_cells_are_of_what_was_said(tmp_path: Path) -> None:
    dataset = open_dataset("demo", split="test").require_complete()
    data = describe_data(dataset)

    def request(overrides: object) -> object:
        plan = Plan(
            weights=("demo",),
            targets=("onnxruntime",),
            precisions=("fp32",),
            sizes=(None,),
            export=ExportOptions(data="demo", overrides=overrides),
            verify=VerifyRequest(source="sweep", data="demo"),
            folder=tmp_path,
        )
        return json.dumps(
            list_dependencies(plan, list_cells(plan)[0], data, dataset), sort_keys=True
        )

    assert request(OTHER) != request(NO_OVERRIDES)
