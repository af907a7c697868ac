"""Reads the weights and the metadata in a file, or explains why the file cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.errors import CheckpointError
from edgeseg.export.locating import PICKLES, explain_adapter, explain_foreign
from edgeseg.export.unpickle import Inert, read_pickle
from edgeseg.text import explain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Contents", "read_contents"]

_CONTAINERS: Final = ("state_dict", "model")
_FEWEST: Final = 20  # a set of weights has more tensors; an optimizer's or meter's state has fewer

# Parts of the keys of weights that PyTorch, quanto, torchao, bitsandbytes or GPTQ quantized.
_QUANTIZED: Final = (
    *("_packed_params", ".qweight", ".qzeros", "weight_quantizer", ".weight._data"),
    *(".weight._scale", ".absmax", ".quant_map", "quant_state", ".weight_qdata", ".int_data"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Weights by their names; `meta` is the framework's metadata; `notes` are for the user."""

    state: dict[str, Tensor]
    meta: Mapping[str, object]
    notes: tuple[str, ...] = ()


def read_contents(path: Path) -> Contents:
    """Read a file of weights, without running code that the file contains.

    Raises:
        CheckpointError: the file is damaged, of another kind, or holds no plain weights; the
            message says what it is.
    """
    if path.suffix == ".safetensors":
        content: object = _read_safetensors(path)
    elif path.suffix in PICKLES:
        content = read_pickle(path)
    else:
        raise CheckpointError(explain_foreign(path))
    return _unwrap(content, path)


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read; is it whole? ({explain(error)})") from None


def _unwrap(content: object, path: Path) -> Contents:
    """Take the weights out of the dictionaries around them."""
    key, weights = _find_container(content)
    if isinstance(weights, Inert):
        raise CheckpointError(f"{path} {_explain_whole_model(weights, key)}")
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"{path} holds {type(weights).__name__}, not a dictionary of weights")
    # DistributedDataParallel puts `module.` before every name.
    state = {
        str(name).removeprefix("module."): value for name, value in _select_tensors(weights).items()
    }
    refusal = _explain_contents(weights, state, path)
    if refusal is not None:
        raise CheckpointError(f"{path} {refusal}")
    outer = content if isinstance(content, Mapping) else {}
    meta = outer.get("meta")
    return Contents(
        state=state,
        meta=meta if isinstance(meta, Mapping) else {},
        notes=_describe_other_sets(outer, key, len(state)),
    )


def _find_container(content: object) -> tuple[str | None, object]:
    """Find the dictionary of the weights, and the key that holds it."""
    if isinstance(content, Mapping):
        for key in _CONTAINERS:
            if isinstance(content.get(key), (Mapping, Inert)):
                return key, content[key]
    return None, content


def _select_tensors(content: Mapping[object, object]) -> dict[object, Tensor]:
    from torch import Tensor

    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _explain_whole_model(model: Inert, key: str | None) -> str:
    under = f" under `{key}`" if key else ""
    called = f" ({model.origin})" if model.origin else ""
    return (
        f"holds a whole pickled object{called}{under}, not a dictionary of weights; an object is "
        f"code, and edgeseg runs no code that a checkpoint brings. Save the weights alone: "
        f"torch.save(model.state_dict(), 'weights.pth')"
    )


def _explain_contents(
    content: Mapping[object, object], state: Mapping[str, Tensor], path: Path
) -> str | None:
    """Explain why these are not plain weights; None where they may be plain weights."""
    keys = [str(name) for name in content]
    if any(mark in key for key in keys for mark in (".lora_A", ".lora_B", "lora_embedding")):
        return explain_adapter(path.parent)
    integral = [
        name
        for name, value in state.items()
        if value.is_quantized
        or not (value.is_floating_point() or name.endswith("num_batches_tracked"))
    ]
    if integral or any(mark in key for key in keys for mark in _QUANTIZED):
        shown = integral or [key for key in keys if any(mark in key for mark in _QUANTIZED)]
        return (
            f"is quantized already (it has {shown[0]}); give the float checkpoint that it was "
            f"made from"
        )
    objects = [key for key, value in content.items() if _is_object(str(key), value)]
    if objects:
        return (
            f"keeps {_list_names([str(key) for key in objects])} as objects and not as plain "
            f"tensors, as libraries that quantize do; give the float checkpoint that it was made "
            f"from"
        )
    if state:
        return None
    nested = _find_nested(content)
    if nested is not None:
        return (
            f"has its weights under `{nested}`; edgeseg reads them at the top, or under "
            f"{' or '.join(f'`{name}`' for name in _CONTAINERS)}. Save them alone: "
            f"torch.save(checkpoint['{nested}'], 'weights.pth')"
        )
    model = next(((k, v) for k, v in content.items() if isinstance(v, Inert)), None)
    if model is not None and "model" in str(model[0]):
        return _explain_whole_model(model[1], str(model[0]))
    found = f", but {_list_names(keys)}" if keys else ""
    return f"holds no weights{found}; save them: torch.save(model.state_dict(), 'weights.pth')"


def _is_object(name: str, value: object) -> bool:
    return isinstance(value, Inert) and name.endswith((".weight", ".bias"))


def _find_nested(content: Mapping[object, object]) -> str | None:
    """Find the key of the inner dictionary that holds the most tensors."""
    counts = {
        str(key): len(_select_tensors(value))
        for key, value in content.items()
        if isinstance(value, Mapping)
    }
    best = max(counts, key=lambda key: counts[key], default=None)
    return best if best is not None and counts[best] else None


def _describe_other_sets(
    content: Mapping[object, object], used: str | None, count: int
) -> tuple[str, ...]:
    """Say which set of weights is used and which are not; nothing where there is only one."""
    others = [
        str(key)
        for key, value in content.items()
        if key != used
        and (
            (isinstance(value, Mapping) and len(_select_tensors(value)) >= max(_FEWEST, count // 2))
            or (isinstance(value, Inert) and "ema" in str(key))
        )
    ]
    if not others:
        return ()
    unused = _list_names([f"`{key}`" for key in others])
    return (f"the file has more than one set of weights: `{used}` is used, {unused} is not",)


def _list_names(names: list[str]) -> str:
    return f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
