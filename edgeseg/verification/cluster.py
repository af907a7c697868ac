"""A data set counted by the workers of a Dask cluster, share by share.

Shares are counted anew where a worker is lost (Dask does that), and are joined in their order: the
result does not depend on who counted what.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from edgeseg.datasets import Dataset, FilePair, Item
from edgeseg.errors import ClusterError, EdgesegError, MissingPackageError
from edgeseg.runtime.backend import Watcher
from edgeseg.verification.measuring import Corruption, Pair, Share
from edgeseg.verification.worker import Work, count_share, facts, host

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Cluster", "connected", "lasting"]

_CONNECT_S: Final = 10
_MOST_IMAGES: Final = 64  # of a share: seconds of work, which is what a lost worker costs
_SHARES_A_WORKER: Final = 8  # where there are few images, so that all end at about the same time
_PATIENCE_S: Final = 60
_WAITING_A_WORKER: Final = 2  # the next share is there when one ends, and none fills the scheduler


@contextmanager
def connected(address: str, watcher: Watcher) -> Iterator[Cluster]:
    """The cluster of the scheduler at an address, as `tcp://host:8786`.

    Raises:
        ClusterError: nobody answers there, or no worker has come yet.
        MissingPackageError: distributed is not installed.
    """
    try:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning
    except ImportError:
        raise MissingPackageError(
            "distributed", purpose="--dask", command="pip install 'edgeseg[dask]'"
        ) from None
    try:
        with warnings.catch_warnings():
            # It draws a table of versions that differ; those that matter are refused by name.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # a timeout is an OSError
        reason = str(error).splitlines()[0]
        raise ClusterError(
            f"no Dask scheduler answers at {address}: {reason}; start one with: dask scheduler"
        ) from None
    with client, client.as_current():  # `wait` asks for no client
        workers = client.nthreads()
        if not workers:
            raise ClusterError(
                f"the Dask scheduler at {address} has no workers; start some with: "
                f"dask worker {address} --nthreads 1"
            )
        watcher.tell(f"cluster {address}: {len(workers)} workers")
        yield Cluster(client, watcher)


def lasting(dataset: Dataset) -> Dataset:
    """The same with absolute paths: workers have working folders of their own."""
    items = tuple(
        replace(
            item,
            image_path=item.image_path.absolute(),
            mask_path=item.mask_path.absolute(),
        )
        if isinstance(item, FilePair)
        else item
        for item in dataset.items
    )
    return replace(dataset, items=items)


class Cluster:
    """Its workers, to count shares with."""

    def __init__(self, client: Client, watcher: Watcher) -> None:
        self._client = client
        self._watcher = watcher

    def work(self, pair: Pair, first: Item, *, strict: bool) -> Work:
        """The work on one pair of models, once every worker has shown that it would do the same.

        Raises:
            ClusterError: a worker differs, by name.
        """
        reference = pair.reference
        work = Work(
            key=uuid4().hex,
            candidate=pair.candidate.address,
            reference=None if reference is None else reference.address,
            protocol=pair.protocol,
            strict=strict,
            first=first,
            expected=facts(pair, first),
        )
        self._check(work)
        return work

    def shares(
        self, work: Work, items: Sequence[Item], corruption: Corruption | None
    ) -> list[Share]:
        """All items' shares, in order.

        Raises:
            ClusterError: the workers, or the scheduler, are lost.
            EdgesegError: what a worker met.
        """
        parts = _parts(items, len(self._client.nthreads()))
        title = "measuring" if corruption is None else f"{corruption.name} {corruption.severity}"
        done, found = 0, dict[int, Share]()
        self._watcher.phase(title, 0, len(items))
        for index, share in self._counted(work, parts, corruption):
            found[index] = share
            done += len(parts[index])
            self._watcher.phase(title, done, len(items))
        return [found[index] for index in range(len(parts))]

    def _check(self, work: Work) -> None:
        """No image, but everything that opening the models shows."""
        try:
            told = self._client.run(count_share, work, (), None, on_error="return")
            hosts = self._client.run(host, on_error="ignore")
        except OSError as error:
            raise ClusterError(f"the cluster's workers cannot be asked: {error}") from None
        refusals = {name: found for name, found in told.items() if isinstance(found, Exception)}
        for name, refusal in refusals.items():
            others = f" (and {len(refusals) - 1} more workers)" if len(refusals) > 1 else ""
            raise ClusterError(f"worker {name} cannot take part{others}: {_reason(refusal)}")
        self._tell_processors(hosts)

    def _tell_processors(self, hosts: Mapping[str, str]) -> None:
        there = {told.rpartition(", ")[2] for told in hosts.values()} - {host().rpartition(", ")[2]}
        if there:
            self._watcher.tell(
                f"workers have other processors ({', '.join(sorted(there))}): their rounding may "
                f"change single pixels"
            )

    def _counted(
        self, work: Work, parts: Sequence[Sequence[Item]], corruption: Corruption | None
    ) -> Iterator[tuple[int, Share]]:
        from distributed import wait
        from distributed.scheduler import KilledWorker

        left = iter(enumerate(parts))
        running: dict[Any, int] = {}

        def submit(count: int) -> None:
            for index, part in islice(left, count):
                future = self._client.submit(count_share, work, part, corruption, pure=False)
                running[future] = index

        try:
            workers = set(self._client.nthreads())
            submit(_WAITING_A_WORKER * max(1, len(workers)))
            while running:
                with suppress(TimeoutError):
                    wait(list(running), timeout=_PATIENCE_S, return_when="FIRST_COMPLETED")
                workers = self._tell_lost(workers)
                done = [future for future in running if future.done()]
                if not done and not workers:
                    raise ClusterError(
                        f"the cluster has had no worker for {_PATIENCE_S} seconds; start some and "
                        f"run this again"
                    )
                submit(len(done))
                for future in done:
                    yield running.pop(future), future.result()
        except KilledWorker as error:
            raise ClusterError(
                f"several workers in turn died of one share, the last one "
                f"{error.last_worker.address}; do they run out of memory?"
            ) from None
        except (CancelledError, OSError) as error:
            raise ClusterError(f"the Dask scheduler was lost: {_reason(error)}") from None
        finally:
            self._client.cancel(list(running))

    def _tell_lost(self, before: set[str]) -> set[str]:
        now = set(self._client.nthreads())
        for name in sorted(before - now):
            self._watcher.tell(f"worker {name} was lost; its shares are counted again")
        return now


def _parts(items: Sequence[Item], workers: int) -> list[Sequence[Item]]:
    size = -(-len(items) // (_SHARES_A_WORKER * max(1, workers)))
    size = max(1, min(_MOST_IMAGES, size))
    return [items[start : start + size] for start in range(0, len(items), size)]


def _reason(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "edgeseg":
        return "edgeseg is not installed there"
    return str(error) if isinstance(error, EdgesegError) else f"{type(error).__name__}: {error}"
