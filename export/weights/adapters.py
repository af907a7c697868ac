"""Merges a LoRA adapter into the model that it adapts, as peft does.

An adapted layer's weight W becomes W + scale * B A. The scale is alpha / r, or alpha / sqrt(r).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.errors import CheckpointError
from edgeseg.export.json_files import read_json
from edgeseg.export.segformer.layouts import HUGGING_FACE, HUGGING_FACE_5, Layout
from edgeseg.export.values import read_finite
from edgeseg.export.weights.extras import list_names
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ADAPTER_CONFIG", "Merged", "explain_adapter", "find_base", "merge_adapter"]

ADAPTER_CONFIG: Final = "adapter_config.json"

_MERGE: Final = "PeftModel.from_pretrained(BASE, ADAPTER).merge_and_unload().save_pretrained(NEW)"
_PREFIX: Final = "base_model.model."
_LAYER: Final = re.compile(r"(.+)\.lora_(A\.weight|B\.weight|B\.bias)")
# Ways to begin the training that leave the base's weights as they are.
_BEGINNINGS: Final = (True, False, None, "gaussian", "eva", "orthogonal")
# Fields whose arithmetic edgeseg does not have, where they are on.
_VARIANTS: Final = (
    *("use_dora", "use_qalora", "use_bdlora", "fan_in_fan_out", "layer_replication"),
    *("target_parameters", "trainable_token_indices", "alora_invocation_tokens"),
    *("arrow_config", "kasa_config", "monteclora_config", "velora_config"),
)
_CLASSIFIERS: Final = ("decode_head.classifier.weight", "decode_head.linear_pred.weight")
_BESIDE: Final = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A model's weights by their names, with a line for the user.

    `replaces_classes` says that the adapter brings the last layer, so that the base's own classes
    do not count.
    """

    state: dict[str, Tensor]
    note: str
    replaces_classes: bool


def find_base(folder: Path) -> Path | None:
    """Find the model of the adapter in `folder`: a path that it names, or weights beside it.

    A name at the hub counts where the hub's cache has it; nothing is fetched.

    Raises:
        CheckpointError: adapter_config.json cannot be read.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    if not config:
        return None
    name = config.get("base_model_name_or_path")
    if isinstance(name, str) and name:
        for path in (folder / name, Path(name)):
            if _is_there(path) and path.resolve() != folder.resolve():
                return path
    for beside in _BESIDE:
        if (folder / beside).is_file():
            return folder / beside
    return _find_cached(name) if isinstance(name, str) and name else None


def explain_adapter(folder: Path, names: Iterable[str] = ()) -> str:
    """Explain what to do with an adapter; its adapter_config.json may name the base model.

    `names` are those of the file's weights, which may be the base's as well.
    """
    if any(".base_layer." in name for name in names):
        return (
            "holds a model with an adapter (LoRA) beside its layers; merge the two before you save "
            "it: torch.save(model.merge_and_unload().state_dict(), 'weights.pth')"
        )
    base = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    named = isinstance(base, str) and base
    return (
        f"holds an adapter (LoRA) of {base if named else 'another model'}, not a whole model; "
        f"put that model's model.safetensors and config.json beside it, or merge the two: {_MERGE}"
    )


def merge_adapter(
    base: Mapping[str, Tensor], adapter: Mapping[str, Tensor], folder: Path
) -> Merged:
    """Merge an adapter's weights into those of its base; `folder` is the adapter's.

    Raises:
        CheckpointError: it is another kind of adapter, or does not fit the base.
    """
    origin = str(folder)
    config = read_json(folder / ADAPTER_CONFIG)
    _check_kind(config, origin)
    layers, whole = _sort(adapter, origin)
    state = _rename_like({name: _widen(tensor) for name, tensor in base.items()}, layers)
    _refuse(origin, "adapts layers that its base lacks", _list_lacking(layers, state))
    for module, parts in layers.items():
        scale = _find_scale(config, module, parts, origin)
        _add(state, module, parts, scale, origin)
    listed = config.get("modules_to_save")
    saved = [str(name) for name in listed] if isinstance(listed, (list, tuple)) else []
    unknown = [name for name in whole if not _is_saved(name, saved, config.get("bias"))]
    _refuse(origin, "holds weights that are of no adapted layer", unknown)
    state |= {name: _widen(tensor) for name, tensor in whole.items()}
    if any(name in state for name in _CLASSIFIERS):  # those of a classifier of images go
        state = {n: t for n, t in state.items() if not n.startswith("classifier.")}
    replaced = f"; replaced whole: {list_names(saved)}" if saved and whole else ""
    return Merged(
        state=state,
        note=f"the adapter is merged into its base: {pluralize(len(layers), 'layer')}{replaced}",
        replaces_classes=any(name in whole for name in _CLASSIFIERS),
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _widen(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _find_cached(name: str) -> Path | None:
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, local_files_only=True))
    except Exception:  # not in the cache, no name at all, or no client; each its own error
        return None


def _check_kind(config: Mapping[str, object], origin: str) -> None:
    """Refuse adapters whose arithmetic is not LoRA's plain one."""
    kind = config.get("peft_type")
    odd = [f"{field} {config[field]}" for field in _VARIANTS if config.get(field)]
    if config.get("init_lora_weights", True) not in _BEGINNINGS:
        odd.append(f"init_lora_weights {config['init_lora_weights']}")
    if kind != "LORA":
        odd.insert(0, f"peft_type {kind}")
    if odd:
        raise CheckpointError(
            f"{origin}/{ADAPTER_CONFIG} says {', '.join(odd)}; edgeseg merges plain LoRA only: "
            f"merge it with peft: {_MERGE}"
        )


def _sort(
    adapter: Mapping[str, Tensor], origin: str
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """Sort an adapter's tensors: the parts of each layer, and weights that replace the base's."""
    layers: dict[str, dict[str, Tensor]] = {}
    whole: dict[str, Tensor] = {}
    for full, tensor in adapter.items():
        name = full.removeprefix(_PREFIX).replace(".default.", ".")
        found = _LAYER.fullmatch(name)
        if found is not None:
            layers.setdefault(found[1], {})[found[2]] = tensor.float()
        elif "lora_" in name:
            _refuse(origin, "holds weights of another kind than LoRA's plain one", [name])
        else:
            whole[name.replace(".base_layer.", ".").replace(".modules_to_save.", ".")] = tensor
    halves = [name for name, parts in layers.items() if not {"A.weight", "B.weight"} <= {*parts}]
    _refuse(origin, "lacks one half of", halves)
    return layers, whole


def _rename_like(base: dict[str, Tensor], layers: Mapping[str, object]) -> dict[str, Tensor]:
    """Give the base the names of the version of transformers with which the adapter was made."""
    if not _list_lacking(layers, base):
        return base
    for theirs, wanted in ((HUGGING_FACE, HUGGING_FACE_5), (HUGGING_FACE_5, HUGGING_FACE)):
        if theirs.signature in base:
            return {_rename(name, theirs, wanted): tensor for name, tensor in base.items()}
    return base


def _rename(name: str, theirs: Layout, wanted: Layout) -> str:
    module, _, leaf = name.rpartition(".")
    for ours, template in theirs.modules.items():
        pattern = re.escape(template)
        for letter in "ij":
            pattern = pattern.replace(rf"\{{{letter}\}}", rf"(?P<{letter}>\d+)")
        found = re.fullmatch(pattern, module)
        if found is not None:
            return f"{wanted.modules[ours].format(**found.groupdict())}.{leaf}"
    return name


def _list_lacking(layers: Mapping[str, object], state: Mapping[str, Tensor]) -> list[str]:
    return [module for module in layers if f"{module}.weight" not in state]


def _find_scale(
    config: Mapping[str, object], module: str, parts: Mapping[str, Tensor], origin: str
) -> float:
    """Find what a layer's B A is multiplied by; its rank is that of its own tensors."""
    alpha = config.get("lora_alpha")
    patterns = config.get("alpha_pattern")
    for pattern, own in (patterns if isinstance(patterns, Mapping) else {}).items():
        if not re.fullmatch(r"[\w.]+", str(pattern)):
            _refuse(origin, "has an alpha_pattern that is no plain name", [str(pattern)])
        if module == pattern or module.endswith(f".{pattern}"):
            alpha = own
            break
    number = read_finite(alpha)
    if number is None:
        _refuse(origin, "has no number as lora_alpha", [str(alpha)])
        return 0.0
    rank = max(1, parts["A.weight"].shape[0] if parts["A.weight"].ndim else 1)
    return number / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _add(
    state: dict[str, Tensor],
    module: str,
    parts: Mapping[str, Tensor],
    scale: float,
    origin: str,
) -> None:
    """Add scale * B A to a layer, linear or convolution, and what its bias gets; round once."""
    import torch

    first, second = parts["A.weight"].double(), parts["B.weight"].double()
    changes = {"weight": first.new_empty(0)}
    if min(first.ndim, second.ndim) > 1 and second.numel() == math.prod(second.shape[:2]):
        flat = second.reshape(second.shape[:2])
        if flat.shape[1] == first.shape[0]:
            changes["weight"] = torch.einsum("or,r...->o...", flat, first)
    if "B.bias" in parts:
        changes["bias"] = parts["B.bias"].double()
    for leaf, change in changes.items():
        name = f"{module}.{leaf}"
        if name not in state or state[name].shape != change.shape:
            _refuse(origin, "does not fit its base in", [name])
        state[name] = (state[name].double() + scale * change).float()


def _is_saved(name: str, saved: Sequence[str], bias: object) -> bool:
    """Tell whether adapter_config.json says that the adapter holds this weight whole."""
    listed = any(f".{module}." in f".{name}" for module in saved)
    return listed or (name.endswith(".bias") and bias in ("all", "lora_only"))


def _refuse(origin: str, complaint: str, names: list[str]) -> None:
    if names:
        raise CheckpointError(
            f"the adapter in {origin} {complaint}: {list_names(names)}; merge it with peft: "
            f"{_MERGE}"
        )
