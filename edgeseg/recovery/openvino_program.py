"""Reads an OpenVINO file of NNCF's as a program, and writes it with other constants.

NNCF writes an INT8 weight as an integer constant, a conversion and a product with its scales, and
any other quantizer as FakeQuantize.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from edgeseg.errors import ExportError
from edgeseg.files.whole import write_whole
from edgeseg.recovery.constants import (
    make_fixed,
    make_float_weight,
    make_quantized_weight,
    make_scale,
    make_shift,
)
from edgeseg.recovery.openvino_operators import FOLDED, OPENVINO_OPERATORS, READ
from edgeseg.recovery.program import Array, Constant, Program, Quantization, Step, Values

if TYPE_CHECKING:
    from openvino import Node

__all__ = ["read_openvino_program"]

_Number: TypeAlias = npt.NDArray[Any]
# From the values of constants to those that are stored, by the name of the stored constant.
_Store: TypeAlias = Callable[[Values], Mapping[str, _Number]]

# What hands a constant on to the operator that uses it.
_HANDS_ON: Final = frozenset(
    {"Broadcast", "Convert", "FakeQuantize", "Reshape", "Transpose", "Unsqueeze"}
)
_PRODUCTS: Final = frozenset({"Convolution", "GroupConvolution", "MatMul"})
_HALF: Final = 64
_PREPROCESS: Final = "preprocess."


def read_openvino_program(path: Path) -> Program:
    """Read the program of an .xml file with a batch of 1 and fixed shapes.

    Raises:
        ExportError: it has an operator or a quantizer that no program can have.
    """
    import openvino

    reader = _Reader(path.name)
    for node in openvino.Core().read_model(path).get_ordered_ops():
        reader.read_node(node)
    return reader.make_program(partial(_write, path, reader.stores))


class _Reader:
    """Reads one graph, node by node. A value has the name of its node and its port's number."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._source = self._result = ""
        self._numbers: dict[str, _Number] = {}
        self._integers: dict[str, tuple[str, _Number]] = {}
        self._steps: list[Step | Quantization] = []
        self._constants: dict[str, Constant] = {}
        self.stores: list[_Store] = []

    def make_program(self, write: Callable[[Values, Path], None]) -> Program:
        return Program(
            source=self._source,
            result=self._result,
            steps=tuple(self._steps),
            constants=self._constants,
            write=write,
        )

    def read_node(self, node: Node) -> None:
        kind = node.get_type_name()
        if kind == "Parameter":
            self._source = _name(node)
        elif kind == "Result":
            (self._result,) = _name_inputs(node)
        elif kind == "Constant":
            self._numbers[_name(node)] = np.array(node.data)
        elif kind == "FakeQuantize":
            self._read_quantizer(node)
        elif kind in FOLDED and self._is_shape(node):
            self._fold(node)
        elif not self._read_integers(node, kind):
            self._read_step(node, kind)

    def _is_shape(self, node: Node) -> bool:
        """Tell whether a node computes whole numbers, and no pixels: those depend on the image."""
        return node.get_output_element_type(0).is_integral() and (
            node.get_type_name() == "ShapeOf"
            or all(name in self._numbers for name in _name_inputs(node))
        )

    def _fold(self, node: Node) -> None:
        """Compute a shape, which depends on no value."""
        if node.get_type_name() == "ShapeOf":
            found: Sequence[_Number] = [np.array(node.get_input_shape(0), np.int64)]
        else:
            given = [self._numbers[name] for name in _name_inputs(node)]
            found = FOLDED[node.get_type_name()](node, given)
        for port, number in enumerate(found):
            self._numbers[_name(node, port)] = number

    def _read_integers(self, node: Node, kind: str) -> bool:
        """Read a part of an INT8 weight: its conversion, its zero point or its scales."""
        name, inputs = _name(node), _name_inputs(node)
        if kind in {"Convert", "ConvertLike"} and inputs[0] in self._numbers:
            stored = self._numbers[inputs[0]]
            self._numbers[name] = stored.astype(np.float32)
            if stored.dtype in (np.int8, np.uint8):
                self._integers[name] = inputs[0], np.zeros((), np.float32)
            return True
        if inputs[0] not in self._integers:
            return False
        origin, _ = self._integers[inputs[0]]
        number = self._numbers[inputs[1]].astype(np.float32)
        if kind == "Subtract":
            self._integers[name] = origin, number
            return True
        if kind != "Multiply":
            raise ExportError(f"{self._origin}: {kind} of an INT8 weight cannot be trained")
        self._keep_integers(node, *self._integers[inputs[0]], scale=inputs[1], step=number)
        return True

    def _keep_integers(
        self, node: Node, origin: str, zero: _Number, *, scale: str, step: Array
    ) -> None:
        stored = self._numbers[origin]
        value = (stored.astype(np.float32) - zero) * step
        ends = _find_ends(stored)
        self._constants[origin] = make_quantized_weight(value, step)
        self._constants[scale] = make_scale(step)
        self._steps.append(
            Quantization(
                name=node.get_friendly_name(),
                source=origin,
                scale=scale,
                # -128 has no counterpart, and NNCF leaves it out.
                lowest=np.asarray(np.maximum(ends[0] - zero, zero - ends[1]), np.float32),
                highest=np.asarray(ends[1] - zero, np.float32),
                output=_name(node),
            )
        )

        def store(values: Values) -> Mapping[str, _Number]:
            whole = np.rint(values[origin] / values[scale]) + zero
            return {
                origin: np.clip(whole, *ends).astype(stored.dtype),
                scale: values[scale].astype(self._numbers[scale].dtype),
            }

        self.stores.append(store)

    def _read_quantizer(self, node: Node) -> None:
        source, *names = _name_inputs(node)
        low, high, *out = (self._numbers[name].astype(np.float32) for name in names)
        if not (np.array_equal(low, out[0]) and np.array_equal(high, out[1])):
            raise ExportError(f"{self._origin}: {node.get_friendly_name()} changes a range")
        step = (high - low) / np.float32(node.get_attributes()["levels"] - 1)
        lowest, highest = np.rint(low / step), np.rint(high / step)
        scale = f"{_name(node)}.scale"
        self._constants[scale] = make_scale(step)
        if source in self._numbers:
            value = self._numbers[source].astype(np.float32)
            self._constants[source] = make_quantized_weight(value, step)
            self._store_float(source)
        self._steps.append(
            Quantization(
                name=node.get_friendly_name(),
                source=source,
                scale=scale,
                lowest=np.asarray(lowest),
                highest=np.asarray(highest),
                output=_name(node),
            )
        )

        def store(values: Values) -> Mapping[str, _Number]:
            grown = values[scale] / step
            return dict(zip(names, 2 * (low * grown, high * grown), strict=True))

        self.stores.append(store)

    def _read_step(self, node: Node, kind: str) -> None:
        make = OPENVINO_OPERATORS.get(kind)
        if make is None:
            raise ExportError(
                f"{self._origin}: {kind} of {node.get_friendly_name()} cannot be trained"
            )
        inputs = _name_inputs(node)
        numbers = [self._numbers.get(name) for name in inputs]
        inputs = inputs[: READ.get(kind, len(inputs))]
        for name in inputs:
            if name in self._numbers and name not in self._constants:
                self._keep_number(node, name)
        self._steps.append(
            Step(
                name=node.get_friendly_name(),
                inputs=tuple(inputs),
                output=_name(node),
                compute=make(node, numbers),
            )
        )

    def _keep_number(self, node: Node, name: str) -> None:
        value = self._numbers[name].astype(np.float32)
        use = _find_use(node)
        if use.get_friendly_name().startswith(_PREPROCESS) or value.size == 1:
            self._constants[name] = make_fixed(value)
            self._store_float(name)
            return
        is_weight = use.get_type_name() in _PRODUCTS
        self._constants[name] = make_float_weight(value) if is_weight else make_shift(value)
        self._store_float(name)

    def _store_float(self, name: str) -> None:
        kind = self._numbers[name].dtype
        self.stores.append(lambda values: {name: values[name].astype(kind)})


def _find_ends(stored: _Number) -> tuple[int, int]:
    """Find the least and the largest whole number that an INT8 weight may have.

    NNCF keeps the first convolution in half of the range: there the sum of two products cannot
    overflow in 16 bits, which CPUs without VNNI would cut off.
    """
    ends = np.iinfo(stored.dtype)
    if stored.dtype == np.int8 and np.abs(stored.astype(np.int32)).max() <= _HALF:
        return -_HALF, _HALF
    return int(ends.min), int(ends.max)


def _name(node: Node, port: int = 0) -> str:
    return f"{node.get_friendly_name()}:{port}"


def _name_inputs(node: Node) -> list[str]:
    outputs = (one.get_source_output() for one in node.inputs())
    return [_name(output.get_node(), output.get_index()) for output in outputs]


def _find_use(node: Node) -> Node:
    """Find the operator that uses a constant which `node` reads."""
    while node.get_type_name() in _HANDS_ON:
        (target, *_) = node.output(0).get_target_inputs()
        node = target.get_node()
    return node


def _write(path: Path, stores: Sequence[_Store], values: Values, target: Path) -> None:
    """Write a copy of a file in which constants have other values: an .xml and its .bin."""
    import openvino
    from openvino import opset13

    new: dict[str, _Number] = {}
    for store in stores:
        new |= store(values)
    model = openvino.Core().read_model(path)
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant" and _name(node) in new:
            number = new[_name(node)].reshape(np.shape(node.data))
            made = opset13.constant(number, node.get_element_type())
            made.set_friendly_name(node.get_friendly_name())
            node.output(0).replace(made.output(0))
    with write_whole(target) as partial_file:
        weights = partial_file.with_suffix(".bin")
        try:
            openvino.save_model(model, partial_file, compress_to_fp16=False)
            weights.replace(target.with_suffix(".bin"))
        finally:
            weights.unlink(missing_ok=True)
