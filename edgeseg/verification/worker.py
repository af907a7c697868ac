"""What a worker of a cluster does: open the same models once, and count its shares.

Before its first share, and after each restart, a worker compares all that results depend on. If it
would give other results than the machine that asked, it counts nothing.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from edgeseg.datasets import Item
from edgeseg.errors import ClusterError, EdgesegError, MissingPackageError
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.opencv import import_opencv
from edgeseg.machine.packages import find_version, hash_code
from edgeseg.verification.measuring import Corruption, Pair, Share, measure_share
from edgeseg.verification.opening import reopen
from edgeseg.verification.reader import hash_readable
from edgeseg.verification.subjects import Address, Model

__all__ = ["Work", "count_share", "collect_facts", "open_models", "name_processor"]

# Each model adds the version of its own engine.
_PACKAGES: Final = ("edgeseg", "numpy", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What all shares of one measurement have in common; `key` tells it from other work.

    `expected` are the facts of the machine that asks (see `collect_facts`), taken on the item
    `first`.
    """

    key: str
    candidate: Address
    reference: Address | None
    protocol: str
    strict: bool
    first: Item
    expected: Mapping[str, str]


def collect_facts(pair: Pair, first: Item) -> dict[str, str]:
    """Collect all that masks depend on, besides the processor, in words."""
    found = {name: find_version(name) or "none" for name in _PACKAGES}
    found["edgeseg's code"] = hash_code()
    found["OpenCV"] = _find_opencv_version()
    models: dict[str, Model | None] = {"candidate": pair.candidate, "reference": pair.reference}
    for role, model in models.items():
        if model is not None:
            about = model.about
            found[f"{role} sha256"] = about.sha256
            found[f"{role} engine"] = about.engine
            found[f"{role} engine threads"] = str(model.threads)
    found[f"sha256 of image {first.name}"] = hash_readable(first)
    return found


def name_processor() -> str:
    """Name this processor: two kinds may round differently and change single pixels."""
    return describe_machine().cpu


def open_models(work: Work) -> str:
    """Open the models, check that they would count the same, and name this processor.

    Raises:
        ClusterError: this worker would give other results.
        EdgesegError: a model is not on this machine.
    """
    with _name_failures(), _ENGINES.lock:
        _ENGINES.open_pair(work)
        return name_processor()


def count_share(work: Work, items: Sequence[Item], corruption: Corruption | None) -> Share:
    """Count some items, one share at a time: an engine serves one caller.

    Raises:
        ClusterError: this worker would give other results.
        EdgesegError: whatever `measure_share` raises, or a model is not on this machine.
    """
    with _name_failures(), _ENGINES.lock:
        pair = _ENGINES.open_pair(work)
        return measure_share(pair, items, strict=work.strict, corruption=corruption)


@contextmanager
def _name_failures() -> Iterator[None]:
    """Turn whatever goes wrong here into an expected error that names this worker."""
    try:
        yield
    except EdgesegError:
        raise
    except Exception as error:  # an engine's or a file system's error
        raise ClusterError(f"on {platform.node()}: {type(error).__name__}: {error}") from error


class _Engines:
    """The models that are open in this process: an engine takes longer to open than a share."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._key = ""
        self._pair: Pair | None = None
        self._open = ExitStack()  # closes the models of the pair

    def open_pair(self, work: Work) -> Pair:
        """Return the open models of the work, once they are proved to be the same."""
        if self._pair is None or self._key != work.key:
            self._close()
            with ExitStack() as stack:
                reference = None if work.reference is None else reopen(work.reference)
                if reference is not None:
                    stack.callback(reference.close)
                candidate = reopen(work.candidate)
                stack.callback(candidate.close)
                pair = Pair(candidate=candidate, reference=reference, protocol=work.protocol)
                _check_same(work, collect_facts(pair, work.first))
                self._key, self._pair, self._open = work.key, pair, stack.pop_all()
        return self._pair

    def _close(self) -> None:
        self._pair = None
        self._open.close()


_ENGINES: Final = _Engines()


def _check_same(work: Work, here: Mapping[str, str]) -> None:
    differing = [
        f"{name} is {here.get(name, 'unknown')}, and {value} where the command runs"
        for name, value in work.expected.items()
        if here.get(name) != value
    ]
    if differing:
        remedy = (
            "give --threads N"
            if all("threads" in line.partition(" is ")[0] for line in differing)
            else "install the same versions and keep bundle and data on a path that all see"
        )
        raise ClusterError(f"on {platform.node()} {'; '.join(differing)}; {remedy}")


def _find_opencv_version() -> str:
    try:
        return str(import_opencv("verify").__version__)
    except MissingPackageError:
        return "none"
