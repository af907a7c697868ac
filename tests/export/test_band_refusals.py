"""What a network of four channels cannot take, refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from bands import band_demo, statistics, write_truth

from edgeseg.datasets import open_dataset
from edgeseg.deploy.export import export_bundle
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CalibrationError, CheckpointError, DatasetError, SourceError
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.overrides import Overrides
from edgeseg.spec import ChannelOrder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return band_demo(tmp_path_factory.mktemp("bands") / "demo", 4)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "takes images of 4 channels, and drawn scenes have three; add --data DATASET"),
        ("demo", "drawn scenes have three channels, and the network takes 4"),
    ],
)
def test_drawn_scenes_do_not_serve(
    data: str | None, says: str, network: Path, tmp_path: Path
) -> None:
    dataset = None if data is None else open_dataset(data)
    with pytest.raises(DatasetError, match=says):
        _export(network, tmp_path, dataset=dataset)


@pytest.mark.parametrize(
    ("channels", "has"), [(5, "120x160x5"), (3, "has 3 channels, and the network takes 4")]
)
def test_images_of_other_channels_are_refused(
    channels: int, has: str, network: Path, tmp_path: Path
) -> None:
    file = "{}.npy" if channels > 4 else "{}.tif"
    data = write_truth(
        tmp_path / "data", band_demo(tmp_path / "other", channels), channels, file=file
    )
    with pytest.raises(SourceError, match=has):
        _export(network, tmp_path, dataset=open_dataset(data))


def test_a_video_does_not_calibrate_it(network: Path, tmp_path: Path) -> None:
    data = write_truth(tmp_path / "data", network, 4)
    (tmp_path / "drive.mp4").write_bytes(b"")
    with pytest.raises(CalibrationError, match=r"drive.mp4 is a video .* of 4 channels"):
        _export(
            network,
            tmp_path,
            dataset=open_dataset(data),
            precision="int8",
            calibration=str(tmp_path / "drive.mp4"),
        )


def test_a_color_network_takes_no_arrays(network: Path, tmp_path: Path) -> None:
    data = write_truth(tmp_path / "data", network, 4)
    with pytest.raises(SourceError, match=r"npy is an array, and the network takes color images"):
        _export("demo", tmp_path, dataset=open_dataset(data))


def test_nothing_is_assumed_of_its_normalization(network: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(network, tmp_path / "bare"))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"--mean and --std, one value or 4 of pixels in"):
        read_checkpoint(str(folder))
    mean, std = map(tuple, statistics(4))
    spec = read_checkpoint(str(folder), overrides=Overrides(mean=mean, std=(0.2,))).input
    assert (spec.mean, spec.std) == (mean, (0.2,) * 4)
    with pytest.raises(CheckpointError, match=r"3 values of mean, and the weights take 4 chann"):
        read_checkpoint(str(folder), overrides=Overrides(mean=mean[:3], std=std))
    with pytest.raises(CheckpointError, match="--channel-order is for networks of color images"):
        read_checkpoint(str(folder), overrides=Overrides(channel_order=ChannelOrder.BGR))


def _export(weights: Path | str, folder: Path, **options: Any) -> Any:
    request = ExportRequest(
        weights=str(weights), target="onnxruntime", folder=folder / "bundle", **options
    )
    return export_bundle(request).bundle
