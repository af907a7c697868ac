"""Maps a checkpoint's weights onto our network: by their names, shapes and number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from edgeseg.errors import CheckpointError, SpecError
from edgeseg.export.architecture import Unseen
from edgeseg.export.segformer.foreign import explain_encoder, explain_unknown, is_encoder_alone
from edgeseg.export.segformer.layouts import LAYOUTS, Layout, Source, State, find_source
from edgeseg.segformer.arch import CUSTOM, VARIANTS, Encoder, ModelSpec, PerStage

if TYPE_CHECKING:
    from torch import Tensor

    from edgeseg.export.segformer.network import SegFormer

__all__ = ["describe_auxiliary", "find_layout", "infer_spec", "map_weights"]

_PATCHES: Final = "stages.{}.patch_embed.proj.weight"
_FUSE_BIAS: Final = "head.fuse.bias"  # other frameworks', not our network's
_FUSED_MEAN: Final = "head.norm.running_mean"
_PUBLISHED: Final = VARIANTS["b0"].encoder  # heads and strides are the same from B0 to B5


def find_layout(state: State, config: Mapping[str, object], *, origin: str) -> Layout:
    """Find the layout of a checkpoint; `config` is what config.json beside it says.

    Raises:
        CheckpointError: this is another kind of model; the message says which, where known.
    """
    for layout in LAYOUTS:
        if layout.signature in state and not is_encoder_alone(state):
            foreign = explain_encoder(state, layout)
            if foreign is not None:
                raise CheckpointError(f"{origin} {foreign}")
            return layout
    raise CheckpointError(f"{origin} {explain_unknown(state, config)}")


def infer_spec(state: State, layout: Layout, unseen: Unseen, *, origin: str) -> ModelSpec:
    """Infer encoder, classes and decoder width from the shapes and the number of blocks.

    Raises:
        CheckpointError: a weight is missing; or nothing tells the attention heads of an encoder
            that is none of the published ones; or the heads are not possible.
    """
    shapes = _Shapes(state, layout, origin)
    spec = ModelSpec(
        encoder=shapes.find_encoder(unseen),
        channels=shapes.measure("stages.0.patch_embed.proj.weight", 1),
        classes=shapes.measure("head.classifier.weight", 0),
        decoder_width=shapes.measure("head.fuse.weight", 0),
        head=layout.head,
        eps=layout.eps,
    )
    if spec.name == CUSTOM and unseen.heads is None:
        raise CheckpointError(
            f"{origin} is a {spec.title}, whose weights do not show its attention heads; put a "
            f"config.json beside it with model_type segformer, num_attention_heads and strides"
        )
    return spec


def map_weights(
    state: State, layout: Layout, model: SegFormer, *, origin: str
) -> dict[str, Tensor]:
    """Map a checkpoint's weights to a state dict for `model`, in float32.

    Raises:
        CheckpointError: a key is missing or unknown, or its tensor has a wrong shape, NaN or inf.
    """
    expected = model.state_dict()
    sources = {ours: find_source(layout, ours) for ours in expected}
    # Checkpoints older than torch 0.4.1 lack this counter, and evaluation does not use it.
    needed = {ours: s for ours, s in sources.items() if not ours.endswith("num_batches_tracked")}
    if layout.fuse_bias is not None:
        needed[_FUSE_BIAS] = Source(key=layout.fuse_bias)
        expected[_FUSE_BIAS] = expected[_FUSED_MEAN]
    _refuse(origin, "lacks", sorted({s.key for s in needed.values()} - state.keys()))
    used = {s.key for s in (*sources.values(), *needed.values())}
    used |= {*layout.unused, *layout.auxiliary}
    _refuse(origin, "has unexpected", sorted(state.keys() - used))

    mapped = {}
    wrong = []
    for ours, source in needed.items():
        tensor = source.take(state[source.key])
        shape = tuple(expected[ours].shape)
        if tuple(tensor.shape) == (*shape, 1, 1):  # a linear layer kept as 1x1 convolution
            tensor = tensor[:, :, 0, 0]
        if tuple(tensor.shape) != shape:
            wrong.append(f"{source.key} {tuple(state[source.key].shape)}")
            continue
        mapped[ours] = tensor.float()
    _refuse(origin, f"is not a {model.spec.title}: wrong shapes of", wrong)
    broken = [needed[ours].key for ours, t in mapped.items() if not bool(t.isfinite().all())]
    _refuse(origin, "holds NaN or infinity in", broken)
    if _FUSE_BIAS in mapped:  # BatchNorm subtracts its mean from what the bias was added to
        mapped[_FUSED_MEAN] = mapped[_FUSED_MEAN] - mapped.pop(_FUSE_BIAS)
    return mapped


def describe_auxiliary(state: State, layout: Layout) -> tuple[str, ...]:
    """Name the weights of a second head, which does not make the mask."""
    present = [key for key in layout.auxiliary if key in state]
    if not present:
        return ()
    return (f"passed over, as they belong to a head for another task: {', '.join(present)}",)


class _Shapes:
    """The shapes of a checkpoint's weights, by our names."""

    def __init__(self, state: State, layout: Layout, origin: str) -> None:
        self._state, self._layout, self._origin = state, layout, origin

    def find_encoder(self, unseen: Unseen) -> Encoder:
        try:
            return Encoder(
                widths=_for_each_stage(lambda i: self.measure(_PATCHES.format(i), 0)),
                depths=_for_each_stage(self._count_blocks),
                ffn_widths=_for_each_stage(self._find_ffn_width),
                reductions=_for_each_stage(self._find_reduction),
                patch_sizes=_for_each_stage(lambda i: self.measure(_PATCHES.format(i), -1)),
                strides=unseen.strides or _PUBLISHED.strides,
                heads=unseen.heads or _PUBLISHED.heads,
            )
        except SpecError as error:
            raise CheckpointError(f"{unseen.origin or self._origin}: {error}") from None

    def measure(self, ours: str, axis: int) -> int:
        """Measure the tensor that holds our parameter along an axis.

        Raises:
            CheckpointError: there is no such tensor, or it has no such axis.
        """
        key = find_source(self._layout, ours).key
        if key not in self._state:
            _refuse(self._origin, "lacks", [key])
        shape = tuple(self._state[key].shape)
        if len(shape) <= abs(axis):
            _refuse(self._origin, "is not a SegFormer: wrong shape of", [f"{key} {shape}"])
        return shape[axis]

    def _count_blocks(self, stage: int) -> int:
        depth = 0
        while self._has(f"stages.{stage}.blocks.{depth}.norm1.weight"):
            depth += 1
        return depth

    def _find_ffn_width(self, stage: int) -> int:
        """Find the rows of the Mix-FFN's first layer, in any block that has it."""
        for name in self._in_blocks(stage, "ffn.fc1.weight"):
            return self.measure(name, 0)
        return _PUBLISHED.ffn_widths[stage]  # `map_weights` lists what is missing

    def _find_reduction(self, stage: int) -> int:
        """Find the kernel of the sequence reduction; a stage without one reduces nothing."""
        for name in self._in_blocks(stage, "attention.sr.weight"):
            return self.measure(name, -1)
        return 1

    def _in_blocks(self, stage: int, weight: str) -> Iterator[str]:
        """Yield the names of a weight of each block that has it."""
        names = (f"stages.{stage}.blocks.{j}.{weight}" for j in range(self._count_blocks(stage)))
        return filter(self._has, names)

    def _has(self, ours: str) -> bool:
        return find_source(self._layout, ours).key in self._state


def _for_each_stage(find: Callable[[int], int]) -> PerStage:
    return find(0), find(1), find(2), find(3)


def _refuse(origin: str, complaint: str, keys: list[str]) -> None:
    if keys:
        more = ", ..." if len(keys) > 5 else ""
        raise CheckpointError(
            f"{origin} {complaint} {len(keys)} weight{'s' * (len(keys) > 1)}: "
            f"{', '.join(keys[:5])}{more}"
        )
