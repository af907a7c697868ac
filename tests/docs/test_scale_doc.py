"""docs/scale.md: what can be run without a cluster of machines is run, the rest is parsed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

import edgeseg as package
from edgeseg.bundle.store import Bundle
from edgeseg.datasets import open_dataset
from edgeseg.images import write_mask
from edgeseg.reports.report import encode_report

DOC = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")


def test_the_objects_for_kubernetes_belong_together() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)
    scheduler, service, worker = yaml.safe_load_all(text)
    for deployment in (scheduler, worker):
        spec = deployment["spec"]
        assert deployment["kind"] == "Deployment"
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    labels = scheduler["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels
    (port,) = service["spec"]["ports"]
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    address = f"tcp://{service['metadata']['name']}:{port['port']}"
    assert container["command"][:3] == ["dask", "worker", address]
    assert f"--dask {address}" in DOC
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {v["name"] for v in worker["spec"]["template"]["spec"]["volumes"]}


def test_reports_of_parts_add_up_to_one_of_all(
    seeded_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """The guide's own lines."""
    monkeypatch.chdir(tmp_path)
    whole = open_dataset("demo").items[:6]
    for name, items in {"a": whole[:2], "b": whole[2:], "all": whole}.items():
        images, masks = (Path(name) / kind for kind in ("images", "masks"))
        images.mkdir(parents=True)
        masks.mkdir()
        for item in items:
            sample = item.read()
            write_mask(sample.mask, masks / f"{sample.name}.png")
            Image.fromarray(sample.image[:, :, ::-1]).save(images / f"{sample.name}.png")
        found = package.verify(seeded_bundle.folder, data=name)
        if name != "all":
            folder = Path("reports") / name
            folder.mkdir(parents=True)
            (folder / "report.json").write_bytes(encode_report(found))
    (code,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    exec(code, {})  # our own example
    assert float(capsys.readouterr().out) == pytest.approx(found.miou)
