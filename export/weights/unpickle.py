"""Unpickles without running anything: tensors become references, and all else inert objects.

A pickle is a program that names functions and calls them. Here a name stands for one of a few
harmless things: a dictionary, a type of numbers, a builder of references to tensors. Every other
name stands for a class of inert objects, which keep what they are given and do nothing with it.
No object of PyTorch, and nothing that outlives the reading, is within a pickle's reach.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, dtype

__all__ = ["Inert", "InertUnpickler", "Storage", "Stored"]

_NUMBERS: Final[Mapping[str, str]] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
_DTYPES: Final = (*_NUMBERS.values(), "float8_e4m3fn", "float8_e5m2", "complex64", "complex128")
_PLAIN_TENSORS: Final = (
    *("torch.Tensor", "torch._tensor.Tensor"),
    *("torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"),
)


class Inert:
    """Stands for an object of an unknown class, or for what an unknown function returns.

    `origin` is the name of the class or function. `state` holds the attributes that the pickle
    sets, and `entries` the items, for classes that derive from a dictionary.
    """

    __slots__ = ("entries", "state")

    origin = ""

    state: dict[Any, Any]
    entries: dict[Any, Any]

    def __new__(cls, *_args: object, **_kwargs: object) -> Inert:
        """Ignore all arguments; a pickle need not call `__init__`."""
        self = super().__new__(cls)
        self.state, self.entries = {}, {}
        return self

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        """Ignore all arguments."""

    def __call__(self, *_args: object, **_kwargs: object) -> Inert:
        """Stand for a function's result as well."""
        return Inert()

    def __setstate__(self, state: object) -> None:
        """Keep the attributes; an object with slots has two dictionaries of them."""
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.state.update(part)

    def __setitem__(self, key: object, value: object) -> None:
        """Keep the item."""
        self.entries[key] = value

    def _forget(self, *_args: object) -> None:
        """Ignore all that the unpickler hands over."""

    append = extend = add = _forget


class _Shielded:
    """Something of our own that a pickle may name, and whose state it cannot set."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        """Ignore what the pickle sets."""


class _Dictionary(dict):  # type: ignore[type-arg]  # of anything
    """Stands for OrderedDict and its kin, whose attributes a pickle could set."""

    __slots__ = ()

    def __init__(self, *args: object) -> None:
        super().__init__()
        for arg in args:
            if isinstance(arg, (dict, list)):
                self.update(arg)

    def __setstate__(self, state: object) -> None:
        """Ignore attributes, such as a state dict's `_metadata`."""


class _NumberType(_Shielded):
    """A type of numbers, or of storages of them."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Builder(_Shielded):
    """A function that a pickle may call; it makes references only."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., object]) -> None:
        self._build = build

    def __call__(self, *args: object) -> object:
        return self._build(*args)


class Storage(_Shielded):
    """A run of numbers in a file; `position` is its first byte, once that is known."""

    __slots__ = ("count", "name", "path", "position")

    def __init__(self, path: Path, name: str, count: int, position: int = -1) -> None:
        self.path, self.name, self.count, self.position = path, name, count, position

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.count * _find_dtype(self.name).itemsize


class Stored(_Shielded):
    """A tensor in a file. Its numbers are read when they are asked for."""

    __slots__ = ("_name", "_offset", "_shape", "_storage", "_stride")

    def __init__(
        self,
        storage: Storage,
        name: str,
        offset: int,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
    ) -> None:
        if len(shape) != len(stride) or min((offset, *shape, *stride), default=0) < 0:
            raise ValueError("a tensor has an impossible shape")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        most = storage.size // _find_dtype(name).itemsize
        if prod(shape) and (last >= most or prod(shape) > most):
            raise ValueError("a tensor lies outside of its storage")
        self._storage, self._name, self._offset = storage, name, offset
        self._shape, self._stride = shape, stride

    @property
    def shape(self) -> tuple[int, ...]:
        """Its length along each axis."""
        return self._shape

    def read(self) -> Tensor:
        """Read the tensor, with its own type and shape."""
        import torch

        dtype = _find_dtype(self._name)
        if not prod(self._shape):
            return torch.empty(self._shape, dtype=dtype)
        span = 1 + sum((n - 1) * s for n, s in zip(self._shape, self._stride, strict=True))
        raw = np.fromfile(
            self._storage.path,
            np.uint8,
            count=span * dtype.itemsize,
            offset=self._storage.position + self._offset * dtype.itemsize,
        )
        flat = torch.from_numpy(raw).view(dtype)
        return torch.as_strided(flat, self._shape, self._stride)


class InertUnpickler(pickle.Unpickler):
    """Reads a pickle; `find_storage` turns a key, a type of numbers and a count into a storage."""

    def __init__(self, file: IO[bytes], find_storage: Callable[[str, str, int], Storage]) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self._find_storage = find_storage
        self._known = _list_known()

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  # pickle's own signature
        """Look a global name up among the harmless ones; any other is inert."""
        if module in {"torch", "torch.cuda", "torch.storage"} and name in _NUMBERS:
            return _NumberType(_NUMBERS[name])
        if module == "torch" and name in _DTYPES:
            return _NumberType(name)
        known = self._known.get((module, name))
        return _make_stand_in(f"{module}.{name}") if known is None else known

    def persistent_load(self, pid: object) -> Any:  # noqa: ANN401  # pickle's own signature
        """Find a storage, which lies outside of the pickle."""
        if not isinstance(pid, tuple) or len(pid) < 2:
            raise pickle.UnpicklingError("it names something that no torch file has")
        if pid[0] == "module":  # a class with its source code, in files before torch 1.6
            return pid[1]
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, _NumberType):  # of quantized numbers
            return Inert()
        if not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("a storage has an impossible size")
        storage = self._find_storage(str(key), kind.name, count)
        return storage if len(pid) < 6 or pid[5] is None else _View(storage, pid[5])


class _View(_Shielded):
    """A part of a storage, in files before torch 1.6; `first` is its first number."""

    __slots__ = ("first", "storage")

    def __init__(self, storage: Storage, view: object) -> None:
        if not isinstance(view, tuple) or len(view) != 3 or not isinstance(view[1], int):
            raise pickle.UnpicklingError("a view has an impossible form")
        self.storage, self.first = storage, view[1]


def _make_stand_in(origin: str) -> type[Inert]:
    return type("Inert", (Inert,), {"origin": origin, "__slots__": ()})


def _list_known() -> dict[tuple[str, str], object]:
    """List the names that stand for something, made anew for each pickle."""
    builders: dict[tuple[str, str], Callable[..., object]] = {
        ("torch", "Size"): lambda sizes=(): _to_tuple(sizes),
        ("torch._utils", "_rebuild_tensor"): _build_tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _build_tensor,
        ("torch._utils", "_rebuild_tensor_v3"): _build_typed_tensor,
        ("torch._utils", "_rebuild_parameter"): _take_data,
        ("torch._utils", "_rebuild_parameter_with_state"): _take_data,
        ("torch._tensor", "_rebuild_from_type_v2"): _build_of_type,
    }
    known: dict[tuple[str, str], object] = {
        ("collections", "OrderedDict"): _Dictionary,
        ("collections", "defaultdict"): _Dictionary,
    }
    return known | {name: _Builder(build) for name, build in builders.items()}


def _build_tensor(storage: object, *rest: object) -> object:
    """Make a reference from a storage, an offset, a shape and strides; the rest is for training."""
    offset, shape, stride = rest[:3]
    return _refer(storage, None, offset, shape, stride)


def _build_typed_tensor(storage: object, *rest: object) -> object:
    """Make a reference whose type of numbers is not its storage's own."""
    offset, shape, stride, _grad, _hooks, kind = rest[:6]
    return _refer(storage, kind, offset, shape, stride)


def _refer(storage: object, kind: object, offset: object, shape: object, stride: object) -> object:
    first = 0
    if isinstance(storage, _View):
        first, storage = storage.first, storage.storage
    if not isinstance(storage, Storage):
        return Inert()
    numbers = (offset, *_to_tuple(shape), *_to_tuple(stride))
    if not all(type(number) is int for number in numbers):
        raise pickle.UnpicklingError("a tensor has an impossible shape")
    name = kind.name if isinstance(kind, _NumberType) else storage.name
    return Stored(storage, name, first + numbers[0], _to_tuple(shape), _to_tuple(stride))


def _to_tuple(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (None,)


def _take_data(data: object, *_rest: object) -> object:
    return data


def _build_of_type(function: object, kind: object, args: object, _state: object) -> object:
    """Build a tensor with attributes; a tensor of another class is more than its numbers."""
    origin = getattr(kind, "origin", "")
    if isinstance(function, _Builder) and origin in _PLAIN_TENSORS:
        return function(*_to_tuple(args))
    return _make_stand_in(origin)()


def _find_dtype(name: str) -> dtype:
    import torch

    found = getattr(torch, name)
    assert isinstance(found, torch.dtype), "one of the names above"
    return found
