"""Runs a program in PyTorch, with the constants that training changes as parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from edgeseg.recovery.program import Kind, Program, Quantization, Values
from edgeseg.recovery.quantizing import quantize
from edgeseg.recovery.state import Changes

__all__ = ["Network", "Trace"]

# What a quantizer's value becomes, of the value, the step and the quantizer; None to quantize it.
_Instead: TypeAlias = Callable[[Tensor, Tensor, Quantization], Tensor | None]

# A quantizer's step never becomes smaller than the first one by this factor.
_LEAST: Final = 16
# The last steps of attentions, of feed-forward parts and of the head's sum, by their names.
_ENDS: Final = (".attn_residual", ".ffn_residual", "head.stage1.sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a network gave for an image: logits (1, classes, h, w), and the value of each block.

    `elements` counts the numbers of all values that were made on the way.
    """

    logits: Tensor
    blocks: Mapping[str, Tensor]
    elements: int


def _list_done(program: Program) -> list[list[str]]:
    """List for each step the values that no later step reads, so that they need not be held."""
    last: dict[str, int] = {}
    for place, step in enumerate(program.steps):
        read = (step.source,) if isinstance(step, Quantization) else step.inputs
        last |= dict.fromkeys(read, place)
    last.pop(program.result, None)
    done: list[list[str]] = [[] for _ in program.steps]
    for name, place in last.items():
        done[place].append(name)
    return done


class Network(nn.Module):
    """A program in PyTorch. Constants are `value + unit * change`, and the changes are trained."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self._names = {name: f"c{place}" for place, name in enumerate(program.constants)}
        self._done = _list_done(program)
        self.changes = nn.ParameterDict()
        for name, constant in program.constants.items():
            key = self._names[name]
            self.register_buffer(f"{key}_value", torch.from_numpy(np.array(constant.value)))
            if constant.kind is not Kind.FIXED:
                unit = np.array(np.broadcast_to(constant.unit, np.shape(constant.value)))
                self.register_buffer(f"{key}_unit", torch.from_numpy(unit))
                self.changes[key] = nn.Parameter(torch.zeros(np.shape(constant.value)))

    def select(self, *kinds: Kind) -> list[nn.Parameter]:
        """List the parameters of these kinds, and let nothing else learn."""
        chosen = []
        for name, constant in self.program.constants.items():
            if constant.kind is not Kind.FIXED:
                change = self.changes[self._names[name]]
                change.requires_grad_(constant.kind in kinds)
                if constant.kind in kinds:
                    chosen.append(change)
        return chosen

    def make(self, name: str) -> Tensor:
        """Make a constant's present value."""
        key = self._names[name]
        value: Tensor = getattr(self, f"{key}_value")
        if key not in self.changes:
            return value
        unit: Tensor = getattr(self, f"{key}_unit")
        made = value + unit * self.changes[key]
        # A step that reaches zero would divide by it.
        is_scale = self.program.constants[name].kind is Kind.SCALE
        return torch.maximum(made, value / _LEAST) if is_scale else made

    def forward(
        self, image: Tensor, *, apart: bool = False, instead: _Instead | None = None
    ) -> Trace:
        """Map an image, uint8 (1, H, W, C), to the logits and to what the blocks hand on.

        With `apart`, no gradient passes from a block to the one before it. `instead` may give what
        a quantizer's value becomes; where it gives None, the value is quantized.
        """
        values: dict[str, Tensor] = {self.program.source: image.float()}
        constants: dict[str, Tensor] = {}
        blocks: dict[str, Tensor] = {}
        elements = 0

        def find(name: str) -> Tensor:
            if name in values:
                return values[name]
            if name not in constants:
                constants[name] = self.make(name)
            return constants[name]

        for step, done in zip(self.program.steps, self._done, strict=True):
            if isinstance(step, Quantization):
                x, scale = find(step.source), find(step.scale)
                given = None if instead is None else instead(x, scale, step)
                made = quantize(x, scale, step) if given is None else given
            else:
                made = step.compute(*map(find, step.inputs))
            if step.name.endswith(_ENDS):
                blocks[step.name] = made
                made = made.detach() if apart else made
            values[step.output] = made
            elements += made.numel()
            for name in done:
                values.pop(name, None)
        return Trace(logits=values[self.program.result], blocks=blocks, elements=elements)

    def copy_changes(self) -> Changes:
        """Copy the changes, by key, to the CPU."""
        return {key: change.detach().cpu().clone() for key, change in self.changes.items()}

    @torch.no_grad()
    def load_changes(self, changes: Changes) -> None:
        """Take over changes that were copied."""
        for key, change in self.changes.items():
            change.copy_(changes[key])

    @torch.no_grad()
    def move_to(self, other: Network, *, share: float) -> None:
        """Move the changes a share of the way to those of another network of the same program."""
        for key, change in self.changes.items():
            change.lerp_(other.changes[key], share)

    @torch.no_grad()
    def export_values(self) -> Values:
        """Copy the present values of all constants."""
        return {name: self.make(name).cpu().numpy().copy() for name in self.program.constants}
