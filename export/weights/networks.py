"""Finds the networks in a file by the names that layouts know, under any prefix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from edgeseg.export.segformer.layouts import LAYOUTS, Layout, find_source
from edgeseg.export.weights.names import Leaf, Names, join, read_leaf

__all__ = ["Network", "find_networks", "find_twin", "is_same"]

# Of a network's weights; those of the encoder alone are fewer.
_NEARLY: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The tensors of one network, by the names of its layout.

    `address` is the dotted name of what holds it in the file, empty at the top. `group` is that of
    the dictionary or model around it, and `beside` are the other tensors there, by their names in
    the file.
    """

    address: str
    group: str
    tensors: Mapping[str, Leaf]
    beside: Mapping[str, Leaf]

    @property
    def label(self) -> str:
        """The address as people write it; a dot is the top of the file."""
        return self.address or "."

    def matches(self, key: str) -> bool:
        """Tell whether a key, such as `student`, is a run of the address's parts."""
        return f".{key}." in f".{self.address}."


def find_networks(names: Names) -> list[Network]:
    """Find each network that has a layout's signature; incomplete ones only if none is complete."""
    found: dict[str, tuple[Network, bool]] = {}
    for name in names.tensors:
        for layout in LAYOUTS:
            if name == layout.signature or name.endswith(f".{layout.signature}"):
                address = name[: -len(layout.signature)].rstrip(".")
                network = _cut_out(names, address, names.groups[name], layout)
                classifier = find_source(layout, "head.classifier.weight").key
                found.setdefault(address, (network, classifier in network.tensors))
    whole = [network for network, is_whole in found.values() if is_whole]
    networks = whole or [network for network, _ in found.values()]
    addresses = [network.address for network in networks]
    return [_leave_out(network, addresses) for network in networks]


def find_twin(names: Names, network: Network, known: Collection[str]) -> tuple[str, list[str]]:
    """Find the address of nearly the same network, and the names that it lacks; none if empty.

    `known` are the addresses that do not count.
    """
    places: defaultdict[str, set[str]] = defaultdict(set)
    for name in names.tensors:
        parts = name.split(".")
        for i in range(len(parts)):
            inner = ".".join(parts[i:])
            if inner in network.tensors:
                places[".".join(parts[:i])].add(inner)
    for address, inside in places.items():
        if address not in known and len(inside) > _NEARLY * len(network.tensors):
            return address, [name for name in network.tensors if name not in inside]
    return "", []


def is_same(one: Network, other: Network) -> bool:
    """Tell whether two networks have the same names and numbers: one network under two names."""
    import torch

    if one.tensors.keys() != other.tensors.keys():
        return False
    pairs = (
        (read_leaf(leaf), read_leaf(other.tensors[name])) for name, leaf in one.tensors.items()
    )
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def _cut_out(names: Names, address: str, group: str, layout: Layout) -> Network:
    """Take what lies under the address, in the dictionary that holds the network.

    Some files keep each part of the network in a dictionary of its own.
    """
    roots = {template.partition(".")[0] for template in layout.modules.values()}
    inside, beside = {}, {}
    for name, leaf in names.tensors.items():
        inner = _remove_prefix(name, address)
        together = names.groups[name] == group
        if inner is not None and (together or inner.partition(".")[0] in roots):
            inside[inner] = leaf
        elif together:
            beside[name] = leaf
    return Network(address=address, group=group, tensors=inside, beside=beside)


def _leave_out(network: Network, addresses: list[str]) -> Network:
    """Leave out what belongs to another network: to the one whose address is the longest."""

    def find_owner(name: str) -> str | None:
        owners = [one for one in addresses if _remove_prefix(name, one) is not None]
        return max(owners, key=len, default=None)

    own, address = network.tensors, network.address
    return replace(
        network,
        tensors={n: leaf for n, leaf in own.items() if find_owner(join(address, n)) == address},
        beside={n: leaf for n, leaf in network.beside.items() if find_owner(n) is None},
    )


def _remove_prefix(name: str, prefix: str) -> str | None:
    if not prefix:
        return name
    return name[len(prefix) + 1 :] if name.startswith(f"{prefix}.") else None
