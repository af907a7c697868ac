"""Kinds in which trainers wrap a checkpoint: containers, prefixes, averages, whole models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from zoo.huggingface import by_demo, copy_demo, judge_with, load_demo, save_pickle, weights
from zoo.kind import Kind, Mask, Photo

from edgeseg.overrides import Overrides

State = Mapping[str, Tensor]


def prefix(state: State, before: str) -> dict[str, Tensor]:
    """The same weights with something before every name."""
    return {before + name: value for name, value in state.items()}


def spoil(state: State) -> dict[str, Tensor]:
    """Weights of the same names and shapes that give another mask."""
    return {k: 1.5 * v + 0.1 if v.is_floating_point() else v for k, v in state.items()}


def _as_lightning(state: State) -> dict[str, Any]:
    """What Lightning's trainer keeps beside the weights, with an optimizer's state."""
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": state,
        "hyper_parameters": {"lr": 1e-4},
        "optimizer_states": [optimizer.state_dict()],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.7)}},
    }


def _ema_buffers(state: State) -> dict[str, Tensor]:
    """Mmcv's EMA hook: the averages lie beside the weights, with `_` for each dot."""
    return dict(spoil(state)) | {f"ema_{k.replace('.', '_')}": v for k, v in state.items()}


def _extras(state: State) -> dict[str, Tensor]:
    """Buffers of a loss and of a metric, under the names of the module that holds them."""
    return prefix(state, "model.") | {
        "criterion.weight": torch.ones(11),
        "val_iou.confmat": torch.zeros(11, 11, dtype=torch.int64),
    }


def _sharded_bin(folder: Path) -> Path:
    """As transformers 4 wrote it: two pickles and an index."""
    import json

    copy_demo(folder)
    (folder / "model.safetensors").unlink()
    state = list(weights().items())
    half = len(state) // 2
    names = {}
    for number, part in enumerate((state[:half], state[half:]), start=1):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save(dict(part), folder / file)
        names |= {name: file for name, _ in part}
    index = {"metadata": {"total_size": 1}, "weight_map": names}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


class _Logits(nn.Module):
    """A tracer takes a tensor, and not transformers' own class of results."""

    def __init__(self) -> None:
        super().__init__()
        self.model = load_demo()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.model(image).logits
        return logits


def _frozen(folder: Path) -> Path:
    """Its weights are constants of the program, and have no names."""
    traced = torch.jit.trace(_Logits().eval(), torch.zeros(1, 3, 64, 64))
    torch.jit.freeze(traced).save(str(folder / "frozen.pt"))
    return folder / "frozen.pt"


def _torchscript(folder: Path) -> Path:
    copy_demo(folder)
    (folder / "model.safetensors").unlink()
    traced = torch.jit.trace(_Logits(), torch.zeros(1, 3, 64, 64))
    traced.save(str(folder / "traced.pt"))
    return folder / "traced.pt"


def _lora(folder: Path) -> Path:
    """An adapter of rank 4 on all queries; the base has what the adapter takes away again."""
    import json

    from safetensors.torch import save_file

    base = copy_demo(folder / "base")
    state = weights()
    generator = torch.Generator().manual_seed(0)
    adapter = {}
    for name in [name for name in state if name.endswith("self.query.weight")]:
        width = len(state[name])
        down, up = (
            0.1 * torch.randn(shape, generator=generator) for shape in ((4, width), (width, 4))
        )
        state[name] = state[name] - 2.0 * up @ down
        module = name.removesuffix(".weight")
        adapter[f"base_model.model.{module}.lora_A.weight"] = down
        adapter[f"base_model.model.{module}.lora_B.weight"] = up
    (base / "model.safetensors").unlink()
    save_file(state, base / "model.safetensors", metadata={"format": "pt"})
    there = folder / "adapter"
    there.mkdir()
    save_file(adapter, there / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["query"],
        "base_model_name_or_path": str(base),
    }
    (there / "adapter_config.json").write_text(json.dumps(config))
    return there


def _lora_alone(folder: Path) -> Path:
    import shutil

    there = _lora(folder)
    shutil.rmtree(folder / "base")
    return there


def _adapt() -> nn.Module:
    """A model of peft over the demo, with halves as training leaves them."""
    import peft

    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    torch.manual_seed(0)  # peft draws one half of each adapter
    adapted: nn.Module = peft.get_peft_model(load_demo(), config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if "lora_" in name:
                value.add_(0.02 * torch.randn(value.shape, generator=generator))
    return adapted.eval()


def _by_peft(folder: Path) -> Path:
    base, there = copy_demo(folder / "base"), folder / "adapter"
    adapted: Any = _adapt()
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(there)
    return there


def _judge_peft(photo: Photo) -> Mask:
    adapted: Any = _adapt()
    return judge_with(adapted.merge_and_unload())(photo)


def _behead(state: State) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if "classifier" not in name}


def _wrap_demo(name: str, wrap: Callable[[State], object], file: str = "w.pth") -> Kind:
    return Kind(
        name=name,
        make=save_pickle(file, lambda: wrap(weights())),
        judge=by_demo,
        judged_by="transformers",
    )


def _judge_demo(name: str, make: Callable[[Path], Path]) -> Kind:
    return Kind(name=name, make=make, judge=by_demo, judged_by="transformers")


KINDS = [
    *(
        _wrap_demo(f"prefix {before}", lambda state, before=before: prefix(state, before))
        for before in (
            *("model.", "net.", "module.", "_orig_mod.", "_orig_mod.module.", "model._orig_mod."),
            "segformer_model.",
        )
    ),
    *(
        _wrap_demo(f"under {key}", lambda state, key=key: {key: state, "epoch": 3})
        for key in (
            *("state_dict", "model_state_dict", "model", "net", "weights", "params", "ema"),
        )
    ),
    _wrap_demo("Lightning .ckpt", lambda s: _as_lightning(prefix(s, "model.")), "last.ckpt"),
    _wrap_demo("buffers of a loss and a metric", _extras),
    _wrap_demo(
        "state_dict and state_dict_ema", lambda s: {"state_dict": spoil(s), "state_dict_ema": s}
    ),
    _wrap_demo("state_dict_ema alone", lambda s: {"state_dict_ema": s, "epoch": 3}),
    _wrap_demo(
        "mmengine's ema_state_dict",
        lambda s: {
            "message_hub": {},
            "state_dict": s,
            "ema_state_dict": {"steps": torch.tensor(3)} | prefix(spoil(s), "module."),
        },
    ),
    _wrap_demo(
        "SWA of torch's AveragedModel",
        lambda s: {
            "net": spoil(s),
            "swa_model": {"n_averaged": torch.tensor(7)} | prefix(s, "module."),
        },
    ),
    _wrap_demo(
        "Lightning .ckpt, a stack of prefixes",
        lambda s: _as_lightning(prefix(s, "model._orig_mod.module.net.")),
        "last.ckpt",
    ),
    Kind(
        name="teacher alone",
        make=save_pickle("w.pth", lambda: {"teacher": weights(), "epoch": 3}),
        refusal="--weights-key 'teacher'",
    ),
    Kind(
        name="teacher alone, --weights-key",
        make=save_pickle("w.pth", lambda: {"teacher": weights(), "epoch": 3}),
        judge=by_demo,
        judged_by="transformers",
        options={"overrides": Overrides(weights_key="teacher")},
    ),
    Kind(
        name="state_dict without its classifier, and init_model",
        make=save_pickle(
            "w.pth", lambda: {"state_dict": _behead(spoil(weights())), "init_model": weights()}
        ),
        refusal="--weights-key 'init_model'",
    ),
    Kind(
        name="mmcv's ema_ buffers",
        make=save_pickle("w.pth", lambda: _ema_buffers(weights())),
        refusal="--weights-key",
    ),
    Kind(
        name="mmcv's ema_ buffers, --weights-key",
        make=save_pickle("w.pth", lambda: _ema_buffers(weights())),
        judge=by_demo,
        judged_by="transformers",
        options={"overrides": Overrides(weights_key="ema_*")},
    ),
    _judge_demo("sharded .bin", _sharded_bin),
    _judge_demo("whole pickled model", save_pickle("whole.pth", load_demo)),
    _judge_demo("TorchScript archive", _torchscript),
    Kind(
        name="TorchScript archive, frozen",
        make=_frozen,
        refusal="torch.jit.freeze",
    ),
    _judge_demo("LoRA adapter with its base", _lora),
    Kind(name="LoRA adapter without its base", make=_lora_alone, refusal="merge_and_unload()"),
    Kind(
        name="LoRA adapter written by peft",
        make=_by_peft,
        judge=_judge_peft,
        judged_by="peft's merge_and_unload",
        needs="peft",
    ),
    Kind(
        name="student and teacher",
        make=save_pickle(
            "w.pth", lambda: {"student": spoil(weights()), "teacher": weights(), "epoch": 3}
        ),
        refusal="--weights-key",
    ),
    Kind(
        name="student and teacher, --weights-key",
        make=save_pickle(
            "w.pth", lambda: {"student": spoil(weights()), "teacher": weights(), "epoch": 3}
        ),
        judge=by_demo,
        judged_by="transformers",
        options={"overrides": Overrides(weights_key="teacher")},
    ),
]
