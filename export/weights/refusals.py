"""Explains why a file's contents are no plain weights, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from edgeseg.export.weights.extras import list_names

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["explain_contents", "explain_nothing", "has_adapters"]

# Parts of the keys of weights that PyTorch, quanto, torchao, bitsandbytes or GPTQ quantized.
_QUANTIZED: Final = (
    *("_packed_params", ".qweight", ".qzeros", "weight_quantizer", ".weight._data"),
    *(".weight._scale", ".absmax", ".quant_map", "quant_state", ".weight_qdata", ".int_data"),
)
# Where the classes of quantized layers and tensors lie.
_QUANTIZERS: Final = (
    *("torch.ao.nn.quantized", "torch.nn.quantized", "torch._utils._rebuild_qtensor"),
    *("torchao.", "optimum.quanto", "quanto.", "bitsandbytes.", "auto_gptq", "gptqmodel"),
)
# The last parts of the names in an optimizer's state, whatever it optimizes.
_OPTIMIZER: Final = frozenset(
    {
        *("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer"),
        *("square_avg", "grad_avg", "acc_delta", "sum", "ax", "mu", "eta"),
    }
)
_ADAPTERS: Final = (".lora_A", ".lora_B", "lora_embedding")


def has_adapters(names: Iterable[str]) -> bool:
    """Tell whether these are the names of an adapter's weights (LoRA)."""
    return any(mark in name for name in names for mark in _ADAPTERS)


def explain_contents(state: Mapping[str, Tensor], objects: Mapping[str, str]) -> str | None:
    """Explain why these are not plain weights; None where they may be plain weights.

    `objects` are what stands among the weights and is no tensor, with the names of their classes.
    """
    if state and all(name.rpartition(".")[2] in _OPTIMIZER for name in state):
        return (
            "holds an optimizer's state and no weights; give the file of the weights that was "
            "saved with it (model.safetensors, pytorch_model.bin or a .pth)"
        )
    marked = [name for name in (*state, *objects) if any(mark in name for mark in _QUANTIZED)]
    marked += [name for name, origin in objects.items() if origin.startswith(_QUANTIZERS)]
    marked += [name for name, tensor in state.items() if _is_narrow(name, tensor)]
    if marked:
        return (
            f"is quantized already (it has {marked[0]}); give the float checkpoint that it was "
            f"made from"
        )
    kept = [name for name in objects if name.endswith((".weight", ".bias"))]
    if kept:
        return (
            f"keeps {list_names(kept)} as objects and not as plain tensors, as libraries that "
            f"quantize do; give the float checkpoint that it was made from"
        )
    return None


def explain_nothing(content: object, objects: Mapping[str, str]) -> str:
    """Explain what a file without any named tensor holds."""
    if not isinstance(content, Mapping):
        origin = objects.get("", "")
        if origin.startswith("__torch__"):
            return (
                "is a TorchScript program whose weights have no names, as torch.jit.freeze leaves "
                "it; give the checkpoint that it was made from"
            )
        kind = f"an object{f' ({origin})' * bool(origin)}" if "" in objects else ""
        return (
            f"holds {kind or type(content).__name__}, not a dictionary of weights; save them: "
            f"torch.save(model.state_dict(), 'weights.pth')"
        )
    if content.get("state_dict_encrypted"):
        return "was encrypted by NVIDIA TAO; train the network without a key, and give that file"
    arrays = [name for name, origin in objects.items() if origin.startswith("numpy.")]
    if arrays:
        return (
            f"holds NumPy arrays and no tensors ({list_names(arrays)}); save them as tensors: "
            f"torch.save({{name: torch.from_numpy(array) for name, array in WEIGHTS.items()}}, "
            f"'weights.pth')"
        )
    keys = [str(key) for key in content]
    found = f", but {list_names(keys)}" if keys else ""
    return f"holds no weights{found}; save them: torch.save(model.state_dict(), 'weights.pth')"


def _is_narrow(name: str, tensor: Tensor) -> bool:
    """Tell whether a tensor's numbers are whole or have 8 bits; BatchNorm's counter is whole."""
    if name.endswith("num_batches_tracked"):
        return False
    return not tensor.is_floating_point() or tensor.element_size() == 1
