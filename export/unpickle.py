"""Reads a .pth file without running it.

torch refuses training checkpoints whose pickles name classes that torch does not know (optimizers,
mmengine's HistoryBuffer). This module rebuilds tensors with torch's own functions. Every other
class or function becomes an inert object, which ignores whatever the pickle does to it.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from edgeseg.errors import CheckpointError

__all__ = ["Inert", "read_pickle"]


class Inert:
    """Stands for an object of an unknown class; takes any state and ignores it.

    `origin` is that class's name, for messages. The object can replace a list or a dictionary: it
    has `append`, `extend` and item assignment, which unpickling calls.
    """

    origin = ""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        """Ignore all arguments."""

    def __call__(self, *_args: object, **_kwargs: object) -> Inert:
        """Stand for a function's result as well."""
        return Inert()

    def _forget(self, *_args: object) -> None:
        """Ignore all that the unpickler hands over."""

    __setstate__ = __setitem__ = append = extend = add = _forget


def read_pickle(path: Path) -> object:
    """Read a .pth, .pt or .bin file; objects of unknown classes become `Inert`.

    Raises:
        CheckpointError: the file is damaged, or is a TorchScript archive, which is code.
    """
    import torch

    if _is_torchscript(path):
        raise CheckpointError(
            f"{path} is a TorchScript program; save the weights alone: "
            f"torch.save(model.state_dict(), 'weights.pth')"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # an unknown global, a newer protocol, or damage
        pass
    module = SimpleNamespace(
        __name__=__name__,
        Unpickler=_InertUnpickler,
        load=_load,
        UnpicklingError=pickle.UnpicklingError,
    )
    try:
        return torch.load(path, map_location="cpu", pickle_module=module, weights_only=False)
    except Exception as error:  # torch raises many kinds for damaged files
        raise _refuse_damaged(path, error) from None


class _InertUnpickler(pickle.Unpickler):
    """Resolves torch's tensor builders to the real functions, and all else to inert objects."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  # pickle's own signature
        known = _list_safe_globals().get((module, name))
        return _make_stand_in(f"{module}.{name}") if known is None else known


@cache
def _make_stand_in(origin: str) -> type[Inert]:
    return type("Inert", (Inert,), {"origin": origin})


def _load(file: IO[bytes], **options: Any) -> object:  # noqa: ANN401  # pickle's own signature
    return _InertUnpickler(file, **options).load()


def _list_safe_globals() -> dict[tuple[str, str], object]:
    import torch
    from torch import _utils

    # torch resolves storages itself before it calls this method.
    return {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch", "Size"): torch.Size,
        ("torch._utils", "_rebuild_tensor_v2"): _utils._rebuild_tensor_v2,  # noqa: SLF001  # what the pickle names
        ("torch._utils", "_rebuild_parameter"): _utils._rebuild_parameter,  # noqa: SLF001  # what the pickle names
    }


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _refuse_damaged(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).strip().splitlines()
    return CheckpointError(
        f"{path} cannot be read as a torch checkpoint; is it whole? "
        f"({reason[0] if reason else type(error).__name__})"
    )
