"""Chooses among the networks of a file, or asks the user which one to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edgeseg.errors import CheckpointError
from edgeseg.export.weights.averages import complete_average, find_average_mark, split_buffers
from edgeseg.export.weights.extras import (
    describe_statistics,
    is_extra,
    is_statistic,
    list_names,
)
from edgeseg.export.weights.names import Leaf
from edgeseg.export.weights.networks import Network, is_same
from edgeseg.text import join_words

__all__ = ["Choice", "choose_network", "pass_over"]

_OPTION: Final = "--weights-key"
_OTHERS: Final = ("teacher", "pretrained", "discriminator")  # seldom what was trained
_SILENT: Final = ("", "state_dict")  # where every trainer puts its weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The network to read, and lines for the user.

    `part` is the network's name in a file that holds several, and empty elsewhere.
    """

    network: Network
    notes: tuple[str, ...] = ()
    part: str = ""


def choose_network(
    found: Sequence[Network],
    above: Sequence[Mapping[object, object]],
    *,
    key: str | None,
    origin: str,
) -> Choice:
    """Choose the network under `key`; without a key the only one, or the averaged one of two.

    `above` are the file's dictionaries, from the top down.

    Raises:
        CheckpointError: nothing lies under the key, or the file does not say which one to read.
    """
    networks = [part for network in found for part in split_buffers(network)]
    wanted = networks if key is None else _find_key(networks, key, origin)
    distinct = _drop_copies(wanted)
    if len(distinct) == 1:
        (network,) = distinct
        if key is None and len(networks) == 1:
            _check_sole(network, origin)
        notes = _describe_key(network, networks, key)
        return Choice(network=network, notes=notes, part=_name_part(network, networks))
    marks = [(network, find_average_mark(network, above)) for network in distinct]
    averaged = [(network, mark) for network, mark in marks if mark is not None]
    others = [network for network, mark in marks if mark is None]
    if len(averaged) == len(others) == 1:
        network, mark = averaged[0]
        average = complete_average(network, others[0])
        if average is not None:
            notes = (_describe_average(average, others[0], mark),)
            return Choice(network=average, notes=notes, part=average.label)
    labels = [_describe_label(network) for network in distinct]
    raise CheckpointError(
        f"{origin} holds {len(distinct)} networks, {join_words(labels)}, and does not say which "
        f"one is meant to be used; name it: {_OPTION} {_propose(distinct, averaged)}"
    )


def pass_over(choice: Choice, *, key: str | None, origin: str) -> Choice:
    """Leave out tensors that are no part of the network, and name them.

    Raises:
        CheckpointError: something beside the network may be a part of it.
    """
    network = choice.network
    kept: dict[str, Leaf] = {}
    left: dict[str, Leaf] = {}
    for name, leaf in network.tensors.items():
        (left if is_extra(name) or is_statistic(name) else kept)[name] = leaf
    beside = {name.removeprefix(f"{network.group}."): leaf for name, leaf in network.beside.items()}
    unclear = [name for name in beside if not is_extra(name) and not is_statistic(name)]
    if unclear and key is None:
        raise CheckpointError(
            f"{origin} holds {len(unclear)} more weights beside the network under "
            f"`{network.label}`: {list_names(unclear)}; if the network does without them, say "
            f"{_OPTION} {network.label!r}"
        )
    left |= beside
    statistics = {name: leaf for name, leaf in left.items() if is_statistic(name)}
    passed = [name for name in left if name not in statistics]
    notes = list(choice.notes)
    if passed:
        notes.append(f"passed over, as no part of the network: {list_names(passed)}")
    notes += describe_statistics(statistics)
    whole = Network(address=network.address, group=network.group, tensors=kept, beside={})
    return replace(choice, network=whole, notes=tuple(notes))


def _name_part(network: Network, networks: Sequence[Network]) -> str:
    return network.label if len(networks) > 1 else ""


def _find_key(networks: Sequence[Network], key: str, origin: str) -> list[Network]:
    wanted = [network for network in networks if network.label == key]
    wanted = wanted or [network for network in networks if network.matches(key)]
    if not wanted:
        labels = join_words([f"`{network.label}`" for network in networks], "or")
        raise CheckpointError(
            f"{origin} has no network under {_OPTION} {key}; it has one under {labels}"
        )
    return wanted


def _drop_copies(networks: Sequence[Network]) -> list[Network]:
    """Keep one of networks that are the same in every number."""
    kept: list[Network] = []
    for network in networks:
        if not any(is_same(network, one) for one in kept):
            kept.append(network)
    return kept


def _check_sole(network: Network, origin: str) -> None:
    """Refuse the only network where its name says that another one was trained."""
    for word in _OTHERS:
        if network.matches(word):
            raise CheckpointError(
                f"{origin} holds one network that edgeseg knows, and its name is {word!r}; if you "
                f"want this one, say {_OPTION} {network.label!r}"
            )


def _describe_key(
    network: Network, networks: Sequence[Network], key: str | None
) -> tuple[str, ...]:
    unused = [f"`{one.label}`" for one in networks if one is not network]
    if key is not None and unused:
        return (f"weights read from `{network.label}`, as {_OPTION} says, not {', '.join(unused)}",)
    if network.address in _SILENT:
        return ()
    copies = f"; {', '.join(unused)} has the same numbers" if unused else ""
    return (f"weights read from `{network.label}` in the file{copies}",)


def _describe_average(average: Network, other: Network, mark: str) -> str:
    return (
        f"the file has two sets of weights: the averaged one, `{average.label}`, is used, {mark}; "
        f"{_OPTION} {other.label!r} takes the other"
    )


def _describe_label(network: Network) -> str:
    return f"`{network.label}`{'' if network.address else ' (the top of the file)'}"


def _propose(distinct: Sequence[Network], averaged: Sequence[tuple[Network, str]]) -> str:
    """Propose the averaged network or the teacher, which averages in most programs; else none."""
    likely = [network for network, _ in averaged]
    likely = likely or [network for network in distinct if network.matches("teacher")]
    return repr(likely[0].label) if len(likely) == 1 else "KEY"
