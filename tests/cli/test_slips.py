"""A path in the place of another: the likely meaning is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.demo.assets import find_demo_bundle, find_demo_checkpoint


@pytest.fixture
def here(edgeseg, tmp_path: Path) -> Path:
    """The working folder with one of each kind."""
    (tmp_path / "street").symlink_to(find_demo_bundle())
    (tmp_path / "weights").symlink_to(find_demo_checkpoint())
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "weights.pth").touch()
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "1.jpg").touch()
    (tmp_path / "my data" / "test" / "images").mkdir(parents=True)
    return tmp_path


EXPORT_FIRST = "is a checkpoint, not a bundle; export it first: edgeseg export --weights"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "clip.mp4"], "clip.mp4 is a video, not a bundle; give it as --source clip.mp4"),
        (["run", "clip.mp4", "street"], "give it as --source clip.mp4"),
        (["run", "street", "clip.mp4"], "give it as --source clip.mp4"),
        (["run", "frames"], "a folder of images, not a bundle; give it as --source frames"),
        (["run", "gone.mp4", "--source", "x"], "gone.mp4 is a video, not a bundle"),
        (["run", "weights"], f"weights {EXPORT_FIRST} weights"),
        (["run", "weights.pth"], f"weights.pth {EXPORT_FIRST} weights.pth"),
        (["build", "weights"], EXPORT_FIRST),
        (["bench", "street", "weights"], EXPORT_FIRST),
        (["build", "clip.mp4"], "clip.mp4 is a video, not a bundle; edgeseg build --help says"),
        (
            ["run", "street/model.onnx"],
            "is an engine's file, not a bundle; give its bundle: street",
        ),
        (
            ["export", "--weights", "net.onnx"],
            "net.onnx is an ONNX graph; edgeseg needs the weights that it was made from",
        ),
        (["inspect", "net.plan"], "net.plan is a TensorRT engine; edgeseg needs the weights"),
        (["sweep", "--weights", "net.xml", "--data", "d"], "net.xml is a graph of OpenVINO;"),
        (["inspect", "street/model.onnx"], "give its bundle: street"),
        (["run", "street", "--source", "my data"], "give its images: 'my data/test/images'"),
        (["run", "street", "--source", "weights"], "weights is a checkpoint, not a folder"),
        (["export", "--weights", "street"], "street is a bundle, not a checkpoint; it is exported"),
        (["export", "--weights", "my data"], "give it as --data 'my data'"),
        (["export", "--weights", "x", "--calibration", "street"], "street is a bundle, not a data"),
        (["export", "--weights", "x", "--calibration", "rtsp://h/1"], "edgeseg calibrate SOURCE"),
        (["sweep", "--weights", "street", "--data", "d"], "street is a bundle, not a checkpoint"),
        (["verify", "my data", "--data", "street"], "'my data' is a data set, not a bundle or a"),
        (["verify", "street", "--data", "street"], "street is a bundle, not a data set"),
        (["verify", "street", "--data", "weights"], "weights is a checkpoint, not a data set"),
        (["verify", "street", "--data", "d", "--reference", "frames"], "not a bundle or a check"),
        (["calibrate", "street", "-o", "c"], "street is a bundle, not a folder of images"),
        (["inspect", "clip.mp4"], "clip.mp4 is a video, not a bundle or a checkpoint"),
        (["street"], "no command street; did you mean: edgeseg run street?"),
    ],
    ids=" ".join,
)
def test_what_lies_there_and_where_it_belongs(
    edgeseg, here: Path, words: list[str], says: str
) -> None:
    outcome = edgeseg(*words)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert says in line


@pytest.mark.parametrize(
    "words",
    [
        ["run", "street", "--camera", "0", "--masks", "0"],
        ["run", "street", "--source", "demo", "--frames", "1"],
    ],
    ids=" ".join,
)
def test_a_name_that_means_something_is_taken_at_its_word(
    edgeseg, here: Path, words: list[str]
) -> None:
    """Though folders of the same name are there."""
    (here / "0").mkdir()
    (here / "0" / "1.png").touch()
    (here / "demo").symlink_to(find_demo_bundle())
    assert edgeseg(*words).status != 2


@pytest.mark.parametrize("weights", ["best.pth", "best.pt", "best.ckpt", "index.bin"])
def test_weights_beside_images_make_neither_wrong(edgeseg, here: Path, weights: str) -> None:
    """Such a folder passes for a data set, for images and for a checkpoint, and for no other."""
    data = here / "my data" / "test"
    (data / weights).touch()
    (here / "frames" / weights).touch()
    (here / "frames" / "config.json").touch()
    for words in (
        ["verify", "street", "--data", str(data)],
        ["export", "--weights", "demo", "--model", "b0", "--calibration", str(data), "-o", "o"],
        ["run", "street", "--source", "frames"],
        ["export", "--weights", str(data)],
    ):
        outcome = edgeseg(*words)
        assert outcome.status == 1, outcome.err  # what is amiss within, whoever opens it says
        assert "is a checkpoint, not" not in outcome.err
    refused = edgeseg("build", str(data))
    assert refused.status == 2
    assert "is a data set, not a bundle" in refused.err


def test_a_file_whose_name_is_a_number_is_no_camera(edgeseg, here: Path) -> None:
    (here / "0").write_bytes((here / "street" / "golden" / "frame_0.png").read_bytes())
    assert "camera" not in edgeseg("run", "street", "--source", "0").err


@pytest.mark.parametrize(
    "words",
    [
        ["export", "--weights", "models/segformer_bo"],
        ["inspect", "models/segformer_bo"],
        ["verify", "models/segformer_bo", "--data", "demo"],
        ["verify", "street", "--data", "demo", "--reference", "models/segformer_bo"],
    ],
    ids=" ".join,
)
def test_a_mistyped_path_in_a_folder_is_told_and_no_hub_is_asked(
    edgeseg, here: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (here / "models" / "segformer_b0").mkdir(parents=True)
    done = edgeseg(*words)
    assert done.status == 1
    line = "no checkpoint at models/segformer_bo; did you mean models/segformer_b0?"
    assert done.err.splitlines()[-1] == f"edgeseg: {line}"
    assert "Hugging Face hub" not in done.err
