"""What a tapped graph tells of its activations is what whole tensors would have told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgeseg.calibration.observe import observe, resume_observation
from edgeseg.calibration.ranges import BINS, ESTIMATORS, SAMPLE, Statistics, choose_sample_positions
from edgeseg.demo import draw_scene
from edgeseg.errors import CalibrationError
from edgeseg.quantize.taps import estimate_bytes, find_floats, find_taps, tap_graph
from edgeseg.quantize.targets.tensorrt.peaks import peaks

IMAGES = [draw_scene(seed, 0, height=96, width=128).image[None] for seed in range(3)]


@pytest.fixture(scope="module")
def model(seeded_graph: onnx.ModelProto) -> onnx.ModelProto:
    return seeded_graph


def whole_tensors(model: onnx.ModelProto, names: list[str]) -> list[dict[str, np.ndarray]]:
    """The tensors themselves, of each image, as further outputs of the graph."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    written = {output.name for output in copy.graph.output}
    known = {value.name: value for value in copy.graph.value_info}
    copy.graph.output.extend(known[name] for name in names if name not in written)
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return [dict(zip(names, session.run(names, {"image": i}), strict=True)) for i in IMAGES]


def spelled_out(tensors: list[np.ndarray]) -> Statistics:
    """Each image in turn: a limit that doubles, and the bin of every value of the sample."""
    low = high = limit = 0.0
    bins = np.zeros(0, np.int64)
    for values in tensors:
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        limit = limit or 2.0 ** math.floor(math.log2(max(-low, high)))
        while limit <= max(-low, high):
            bins, limit = bins // 2 + BINS // 4, 2 * limit
        sample = values.reshape(-1)[choose_sample_positions(values.size)]
        places = (sample + np.float32(limit)) * np.float32(BINS / (2 * limit))
        bins = np.append(bins, np.minimum(places.astype(np.int64), BINS - 1))
    counts = np.histogram(bins, np.arange(BINS + 1))[0]
    return Statistics(low=low, high=high, limit=limit, counts=counts)


def test_every_activation_of_a_quantizable_node_is_tapped(model: onnx.ModelProto) -> None:
    names = {tap.name for tap in find_taps(model)}
    assert {"preprocess.center", "stage1.block0.softmax", "head.relu"} <= names
    outputs = [
        o.name for o in onnx.load_from_string(tap_graph(model, find_taps(model))).graph.output
    ]
    assert len(outputs) == len(set(outputs))
    assert set(outputs) == {
        name for tap in find_taps(model) for name in (*tap.extremes, tap.sample)
    }


@pytest.fixture(scope="module")
def observed(
    model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Statistics]:
    saved = tmp_path_factory.mktemp("observed") / "ranges.npz"
    frames = [lambda image=image: image for image in IMAGES]
    graph = tap_graph(model, find_taps(model))
    return observe(graph, frames, resume_observation(graph, find_taps(model), saved))


@pytest.fixture(scope="module")
def expected(model: onnx.ModelProto) -> Mapping[str, Statistics]:
    names = [tap.name for tap in find_taps(model)]
    tensors = whole_tensors(model, names)
    assert any(values.size > SAMPLE for values in tensors[0].values())
    return {name: spelled_out([image[name] for image in tensors]) for name in names}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_ranges_are_those_of_the_whole_tensors(
    name: str, observed: Mapping[str, Statistics], expected: Mapping[str, Statistics]
) -> None:
    estimate = ESTIMATORS[name]
    assert {n: estimate(s) for n, s in observed.items()} == {
        n: estimate(s) for n, s in expected.items()
    }


def test_histograms_are_those_of_the_whole_tensors(
    observed: Mapping[str, Statistics], expected: Mapping[str, Statistics]
) -> None:
    for name, statistics in expected.items():
        assert observed[name].limit == statistics.limit
        np.testing.assert_array_equal(observed[name].counts, statistics.counts, name)


def test_peaks_are_those_of_the_whole_tensors(model: onnx.ModelProto) -> None:
    found = peaks(model, [lambda image=image: image for image in IMAGES])
    tensors = whole_tensors(model, list(found))
    assert {"preprocess.cast", "logits"} <= set(found)
    assert found == {
        name: max(float(np.abs(image[name]).max()) for image in tensors) for name in found
    }


def test_calibration_finds_the_peaks_too(
    model: onnx.ModelProto, observed: Mapping[str, Statistics], tmp_path: Path
) -> None:
    """One pass over all values gives the ranges and the peaks that two passes give."""
    taps = find_floats(model)
    frames = [lambda image=image: image for image in IMAGES]
    graph = tap_graph(model, taps)
    found = observe(graph, frames, resume_observation(graph, taps, tmp_path / "all.npz"))
    alone = peaks(model, frames)
    assert {name: max(-s.low, s.high) for name, s in found.items()} == alone
    assert {tap.name for tap in taps if tap.sampled} == set(observed)
    for name, statistics in observed.items():
        np.testing.assert_array_equal(found[name].counts, statistics.counts, name)


@pytest.fixture(scope="module")
def broken(model: onnx.ModelProto) -> onnx.ModelProto:
    """One channel of one layer is not a number; the engine's minima and maxima pass over it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    (bias,) = (w for w in copy.graph.initializer if w.name == "stage1.block0.ffn_in.bias")
    values = numpy_helper.to_array(bias).copy()
    values[5] = np.nan
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    return copy


def test_one_value_that_is_no_number_is_refused(broken: onnx.ModelProto, tmp_path: Path) -> None:
    graph = tap_graph(broken, find_taps(broken))
    taps = [tap for tap in find_taps(broken) if tap.name == "stage1.block0.ffn_in"]
    begun = resume_observation(graph, taps, tmp_path / "ranges.npz")
    with pytest.raises(CalibrationError, match="infinite or not a number"):
        observe(graph, [lambda: IMAGES[0]], begun)


def test_the_peak_of_one_value_that_is_no_number_is_none(broken: onnx.ModelProto) -> None:
    found = peaks(broken, [lambda: IMAGES[0]])
    assert math.isnan(found["stage1.block0.ffn_in"])


def test_memory_is_what_is_alive_at_once() -> None:
    """Of a chain of four values, two; three times that."""
    names = ["a", "b", "c", "d"]
    values = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1000]) for n in names]
    nodes = [
        helper.make_node("Relu", [one], [other])
        for one, other in zip(["image", *names], names, strict=False)
    ]
    chain = helper.make_model(
        helper.make_graph(nodes, "chain", [], [values[-1]], value_info=values[:-1])
    )
    assert estimate_bytes(chain, ()) - 2 * chain.ByteSize() == 3 * 2 * 4 * 1000
