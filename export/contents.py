"""Reads the weights and the metadata in a file, or explains why the file cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.errors import CheckpointError
from edgeseg.export.locating import PICKLES, explain_foreign, find_weights
from edgeseg.export.weights.adapters import explain_adapter, find_base, merge_adapter
from edgeseg.export.weights.choosing import Choice, choose_network, pass_over
from edgeseg.export.weights.extras import list_names
from edgeseg.export.weights.lookalikes import explain_bytes, explain_cut
from edgeseg.export.weights.names import Names, gather_names, join, read_leaf
from edgeseg.export.weights.networks import Network, find_networks, find_twin
from edgeseg.export.weights.refusals import explain_contents, explain_nothing, has_adapters
from edgeseg.export.weights.shards import INDEX, find_index, read_shards
from edgeseg.export.weights.torch_file import read_torch_file
from edgeseg.progress import ignore
from edgeseg.text import explain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Contents", "read_contents"]

_PREFIXES: Final = ("module", "model", "net", "network", "_orig_mod", "base_model")
_FEWEST: Final = 20  # a set of weights has more tensors; an optimizer's or meter's state has fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Weights by their names; `meta` is the framework's metadata; `notes` are for the user.

    `files` are all that was read. `base` is the folder of the model that an adapter was merged
    into; that model's own classes do not count if `replaces_classes`. `part` is the
    network's name in a file that holds several, and empty elsewhere.
    """

    state: dict[str, Tensor]
    meta: Mapping[str, object]
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    base: Path | None = None
    replaces_classes: bool = False
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """What a file holds, before its weights are found; `files` are all that was read."""

    content: object
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def read_contents(path: Path, *, key: str | None = None) -> Contents:
    """Read a file of weights, without running code that the file contains.

    `key` says which of several networks to read, by a part of its name in the file. Of a file that
    is one of several parts, all are read. An adapter is merged into its base.

    Raises:
        CheckpointError: the file is damaged, of another kind, or holds no plain weights; the
            message says what it is. Or the file does not say which network is meant.
    """
    opened = _open(path)
    names = gather_names(opened.content, origin=str(path))
    if has_adapters(names.tensors):
        return _merge(path, names, opened)
    return _read(path, names, opened, key)


def _read(path: Path, names: Names, opened: _Opened, key: str | None) -> Contents:
    """Read the weights of one whole network."""
    if not names.tensors:
        raise CheckpointError(f"{path} {explain_nothing(opened.content, names.objects)}")
    found = find_networks(names)
    choice = _choose(names, found, opened.content, key=key, origin=str(path))
    network = choice.network
    state = _read_state(network, names, path)
    return Contents(
        state=state,
        meta=_find_meta(_list_above(opened.content, network.group)),
        notes=(
            *opened.notes,
            *choice.notes,
            *_describe_object(names, network),
            *_describe_other_sets(names, network, found),
            *_describe_rounding(state),
        ),
        files=opened.files,
        part=choice.part,
    )


def _open(path: Path) -> _Opened:
    if path.name.endswith(INDEX):
        content, files = read_shards(path, lambda part: _open_one(part).content)
        return _Opened(content=content, files=files)
    index = find_index(path)
    if index is None:
        return _open_one(path)
    whole = _open(index)
    note = f"{path.name} is one of {len(whole.files) - 1} parts; all of {index.name} are read"
    return _Opened(content=whole.content, files=whole.files, notes=(note,))


def _open_one(path: Path) -> _Opened:
    _check_bytes(path)
    if path.suffix == ".safetensors":
        return _Opened(content=_read_safetensors(path), files=(path,))
    if not path.name.endswith(PICKLES):
        raise CheckpointError(explain_foreign(path))
    read = read_torch_file(path)
    note = (
        "the file is a TorchScript program: its weights are read by their names, and nothing in "
        "it runs"
    )
    return _Opened(content=read.content, files=(path,), notes=(note,) if read.is_program else ())


def _check_bytes(path: Path) -> None:
    """Refuse what is no file of weights, whatever its name says."""
    try:
        refusal = explain_bytes(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {explain(error)}") from None
    if refusal is not None:
        raise CheckpointError(f"{path} {refusal}")


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        told = explain_cut(path) or f"cannot be read; is it whole? ({explain(error)})"
        raise CheckpointError(f"{path} {told}") from None


def _choose(
    names: Names, found: list[Network], content: object, *, key: str | None, origin: str
) -> Choice:
    """Choose the network; where none has a known layout, the largest set, to say what it is."""
    if not found:
        return Choice(network=_take_largest(names))
    above = [one for network in found for one in _list_above(content, network.group)]
    choice = choose_network(found, above, key=key, origin=origin)
    if key is None:
        _ask_about_twin(names, found, choice.network, origin)
    return pass_over(choice, key=key, origin=origin)


def _ask_about_twin(names: Names, found: list[Network], network: Network, origin: str) -> None:
    """Refuse a network that the file has again without some weights: it may be an older one.

    Raises:
        CheckpointError: it has.
    """
    address, lacking = find_twin(names, network, [one.address for one in found])
    if lacking:
        raise CheckpointError(
            f"{origin} holds the network under `{network.label}`, and again under "
            f"`{address or '.'}`, where it lacks {list_names(lacking)}; if the whole one is meant "
            f"to be used, say --weights-key {network.label!r}"
        )


def _take_largest(names: Names) -> Network:
    """Take the group with the most tensors, without the usual prefixes of all its names."""
    group, _ = Counter(names.groups.values()).most_common(1)[0]
    address, rest = "", [name for name in names.tensors if names.groups[name] == group]
    while True:
        first = {name.partition(".")[0] for name in rest}
        word = first.pop()
        around = word in _PREFIXES or f"{group}.".startswith(f"{join(address, word)}.")
        if first or not word or not around:
            break
        address, rest = join(address, word), [name.partition(".")[2] for name in rest]
    tensors = {name: names.tensors[join(address, name)] for name in rest}
    return Network(address=address, group=group, tensors=tensors, beside={})


def _read_state(network: Network, names: Names, path: Path) -> dict[str, Tensor]:
    state = {name: read_leaf(leaf) for name, leaf in network.tensors.items()}
    start = f"{network.address}." if network.address else ""
    parts = {name.partition(".")[0] for name in state}
    objects = {
        name.removeprefix(start): origin
        for name, origin in names.objects.items()
        if name.startswith(start) and name.removeprefix(start).partition(".")[0] in parts
    }
    refusal = explain_contents(state, objects)
    if refusal is not None:
        raise CheckpointError(f"{path} {refusal}")
    repeated = [name for name in state if f"{start}{name}" in names.repeated]
    if repeated:
        raise CheckpointError(f"{path} has two tensors of the name {repeated[0]}")
    return state


def _list_above(content: object, group: str) -> list[Mapping[object, object]]:
    """List the dictionaries from the top down to the one called `group`."""
    above = []
    rest = group
    while isinstance(content, Mapping):
        above.append(content)
        if not rest:
            break
        key = next((key for key in content if rest == str(key) or rest.startswith(f"{key}.")), None)
        rest = rest[len(str(key)) + 1 :]
        content = None if key is None else content[key]
    return above


def _find_meta(above: list[Mapping[object, object]]) -> Mapping[str, object]:
    """Find the framework's metadata, nearest to the weights."""
    for one in reversed(above):
        meta = one.get("meta")
        if isinstance(meta, Mapping):
            return meta
    return {}


def _describe_object(names: Names, network: Network) -> Iterator[str]:
    """Say that the weights are of a pickled object, whose own code is not known."""
    origin = names.objects.get(network.group, "")
    if origin and not origin.startswith("__torch__"):
        yield (
            f"the file holds a whole pickled object ({origin}): its weights are read by their "
            f"names, and nothing in it runs"
        )


def _describe_other_sets(names: Names, network: Network, found: list[Network]) -> Iterator[str]:
    """Name sets of tensors that are as large as a network's, but of no known layout."""
    known = {one.group for one in found}
    twin, lacking = find_twin(names, network, [one.address for one in found])
    if lacking:
        yield (
            f"the file has the network again under `{twin or '.'}`, without {list_names(lacking)}; "
            f"that one is not used"
        )
        known.add(twin)
    counts = Counter(names.groups.values())
    others = [
        group
        for group, count in counts.items()
        if count >= max(_FEWEST, len(network.tensors) // 2)
        and not any(f"{one}.".startswith(f"{group}.") for one in known)
        and not any(f"{group}.".startswith(f"{one}.") for one in known)
    ]
    if others:
        shown = list_names([f"`{group}`" for group in others])
        yield f"the file has weights of another network, which are not used: {shown}"


def _describe_rounding(state: Mapping[str, Tensor]) -> Iterator[str]:
    import torch

    double = {name: one for name, one in state.items() if one.dtype == torch.float64}
    rounded = [name for name, one in double.items() if not torch.equal(one.float().double(), one)]
    if rounded:
        yield (
            f"{len(rounded)} of the {len(state)} weights have more digits than float32 holds, and "
            f"are rounded: {list_names(rounded)}"
        )


def _merge(path: Path, names: Names, opened: _Opened) -> Contents:
    """Merge an adapter into its base, which adapter_config.json names or which lies beside it."""
    found = find_base(path.parent)
    base, folder = (None, path.parent) if found is None else find_weights(str(found), say=ignore)
    under = None if base is None else _open(base)
    whole = Names() if under is None else gather_names(under.content, origin=str(base))
    if base is None or under is None or has_adapters(whole.tensors):
        raise CheckpointError(f"{path} {explain_adapter(path.parent, names.tensors)}")
    inner = _read(base, whole, under, None)
    adapter = {name: read_leaf(leaf) for name, leaf in names.tensors.items()}
    merged = merge_adapter(inner.state, adapter, path.parent)
    return Contents(
        state=merged.state,
        meta=inner.meta,
        notes=(*opened.notes, *inner.notes, f"{merged.note} ({base})"),
        files=(*opened.files, *inner.files),
        base=folder,
        replaces_classes=merged.replaces_classes,
    )
