"""Tells which of a file's networks is the averaged one: the one that its trainer validated.

A name such as `state_dict_ema` tells it. Three trainers exchange the two before they save, so that
the plain name holds the average: mmengine and Lightning, whose files show it, and mmcv's epochs.
docs/decisions/0016-averaged-weights.md has the sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from edgeseg.export.literals import read_assignments
from edgeseg.export.weights.names import Leaf, join
from edgeseg.export.weights.networks import Network

__all__ = ["complete_average", "find_average_mark", "split_buffers"]

_AVERAGED: Final = re.compile(
    r"(?:^|[._])(?:ema|swa|avg|averaged?|shadow)(?:[._]|$)|EMA|Ema(?![a-z])|SWA"
)
_BY_TRAINER: Final = "as its trainer validates it"
_BY_NAME: Final = "as its name says; the file does not say which one was validated"
_BUFFERS: Final = ("running_mean", "running_var", "num_batches_tracked")
_MMCV: Final = "ema_"  # its EMAHook's buffers; dots became underscores
_LIGHTNING: Final = frozenset({"current_model_state", "averaging_state"})


def find_average_mark(network: Network, above: Sequence[Mapping[object, object]]) -> str | None:
    """Find what says that a network is averaged, in words; None where nothing does.

    `above` are the file's dictionaries. mmengine's EMAHook and Lightning's WeightAveraging save the
    average under `state_dict`, and the last weights under the other name.
    """
    exchanged = any(
        keys >= _LIGHTNING or (_is_of_mmengine(one) and "ema_state_dict" in keys)
        for one in above
        for keys in ({str(key) for key in one},)
    )
    if exchanged:
        return _BY_TRAINER if network.matches("state_dict") else None
    if network.address.endswith(".ema_*") or network.address == "ema_*":
        return _BY_TRAINER if _counts_iterations(above) else None
    return _BY_NAME if _AVERAGED.search(network.address) else None


def split_buffers(network: Network) -> list[Network]:
    """Make two networks of one that has mmcv's averaged copies `ema_...` among its tensors.

    Only parameters have a copy. The average keeps the network's own statistics of BatchNorm, as
    mmcv does.
    """
    own = {name: leaf for name, leaf in network.tensors.items() if not name.startswith(_MMCV)}
    names = {_MMCV + name.replace(".", "_"): name for name in own}
    copies = {names[n]: leaf for n, leaf in network.tensors.items() if n in names}
    parameters = {name for name in own if not name.endswith(_BUFFERS)}
    if not copies or not parameters <= copies.keys():
        return [network]
    left = {n: leaf for n, leaf in network.tensors.items() if n not in names}
    average = replace(network, address=join(network.address, "ema_*"), tensors=left | copies)
    return [replace(network, tensors=left), average]


def complete_average(average: Network, other: Network) -> Network | None:
    """Give an average the statistics of BatchNorm that it lacks; None if it is of another network.

    Trainers that average parameters only go on using the network's own statistics.
    """
    missing: dict[str, Leaf] = {
        name: leaf for name, leaf in other.tensors.items() if name not in average.tensors
    }
    shapes = all(
        tuple(other.tensors[name].shape) == tuple(leaf.shape)
        for name, leaf in average.tensors.items()
        if name in other.tensors
    )
    if not shapes or not all(name.endswith(_BUFFERS) for name in missing):
        return None
    return replace(average, tensors={**average.tensors, **missing})


def _is_of_mmengine(content: Mapping[object, object]) -> bool:
    meta = content.get("meta")
    return "message_hub" in content or (isinstance(meta, Mapping) and "mmengine_version" in meta)


def _counts_iterations(above: Sequence[Mapping[object, object]]) -> bool:
    """Tell whether mmcv trained by iterations; then it does not exchange the two.

    By epochs it does, before or after it saves, depending on the priorities of its hooks.
    """
    for one in above:
        meta = one.get("meta")
        config = meta.get("config") if isinstance(meta, Mapping) else None
        found = read_assignments(config) if isinstance(config, str) else {}
        runner = found.get("runner")
        if isinstance(runner, Mapping) and runner.get("type") == "IterBasedRunner":
            return True
    return False
