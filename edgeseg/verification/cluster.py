"""Counts a data set with the workers of a Dask cluster, share by share.

Where a worker is lost, Dask has its shares counted again. Shares are joined in their order, so the
result does not depend on who counted what.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from edgeseg.datasets import Dataset, FilePair, Item
from edgeseg.errors import ClusterError, MissingPackageError
from edgeseg.machine.extras import make_install_command
from edgeseg.progress import Progress, begin
from edgeseg.redact import redact, scrub
from edgeseg.text import pluralize
from edgeseg.verification.cluster_errors import make_release_error, to_edgeseg_error, to_line
from edgeseg.verification.measuring import Corruption, Pair, Share, name_phase
from edgeseg.verification.worker import (
    Work,
    collect_facts,
    count_share,
    name_processor,
    open_models,
)

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Cluster", "connect_cluster", "make_paths_absolute"]

CONNECT_S: Final = 10
PATIENCE_S: Final = 60  # how long a cluster may have no worker
_ANSWER_S: Final = 30  # how long a connected scheduler may take to answer
_OPEN_S: Final = 600  # how long a worker may take to open the models
_QUIET_S: Final = 300  # after so long without a share, a message says so
_POLL_S: Final = 2
_MOST_IMAGES: Final = 64  # in a share: a lost worker then costs seconds of work
_SHARES_A_WORKER: Final = 8  # with few images: all workers end at about the same time
_WAITING_A_WORKER: Final = 2  # a worker has its next share at hand

# Dask raises asyncio's TimeoutError. Before Python 3.11 it is not the built-in one.
_TIMEOUTS: Final = (TimeoutError, asyncio.TimeoutError)


@contextmanager
def connect_cluster(address: str, progress: Progress) -> Iterator[Cluster]:
    """Connect to the cluster of the scheduler at `address`, such as `tcp://host:8786`.

    Raises:
        ClusterError: nobody answers there, or no worker has come yet.
        MissingPackageError: distributed is not installed.
    """
    client = _open_client(address)
    from distributed.utils import silence_logging_cmgr

    # An error of ours tells in one line what Dask's log would tell at length.
    with silence_logging_cmgr(logging.CRITICAL), client, client.as_current():
        cluster = Cluster(client, progress)
        workers = cluster.list_workers()
        if not workers:
            raise ClusterError(
                f"the Dask scheduler at {redact(address)} has no workers; start some with: "
                f"dask worker {redact(address)} --nthreads 1"
            )
        progress.say(f"cluster {redact(address)}: {pluralize(len(workers), 'worker')}")
        yield cluster


def _open_client(address: str) -> Client:
    """Connect in a thread: Dask's timeout does not cover a server that says nothing."""
    try:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning
    except ImportError:
        raise MissingPackageError(
            "distributed",
            purpose="--dask",
            command=make_install_command(["dask"]),
        ) from None

    found: list[Client | Exception] = []

    # The client exists before it connects, so that one that never connects can be closed.
    client = Client.__new__(Client)

    def connect() -> None:
        try:
            client.__init__(address, timeout=CONNECT_S, set_as_default=False)
            found.append(client)
        except Exception as error:  # a bad address, a socket or TLS
            found.append(error)

    with warnings.catch_warnings():
        # Dask prints a table of differing versions; those that matter are refused by name.
        warnings.simplefilter("ignore", VersionMismatchWarning)
        thread = Thread(target=connect, daemon=True)
        thread.start()
        thread.join(CONNECT_S + 1)
    answer = found[0] if found else TimeoutError(f"no answer in {CONNECT_S} seconds")
    if isinstance(answer, AttributeError):
        raise make_release_error(answer) from answer
    if isinstance(answer, Exception):
        client.status = "closed"  # else it tries to say goodbye, for 20 seconds
        remedy = (
            "start one with: dask scheduler"
            if isinstance(answer, OSError)
            else "give its address, as tcp://host:8786; for tls:// set Dask's certificates"
        )
        reason = scrub(to_line(answer), address)
        raise ClusterError(f"no Dask scheduler answers at {redact(address)}: {reason}; {remedy}")
    return answer


def make_paths_absolute(dataset: Dataset) -> Dataset:
    """Make a data set's paths absolute: workers have working folders of their own."""
    items = tuple(
        item.make_absolute() if isinstance(item, FilePair) else item for item in dataset.items
    )
    return replace(dataset, items=items)


class Cluster:
    """The workers of a connected scheduler, which count shares."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client = client
        self._progress = progress
        self.processors: dict[str, int] = {}  # of the workers at the start, with their number

    def describe_work(self, pair: Pair, first: Item, *, strict: bool) -> Work:
        """Describe the work on a pair of models, once every worker has shown that it agrees.

        Raises:
            ClusterError: a worker would give other results; the message names it.
        """
        reference = pair.reference
        work = Work(
            key=uuid4().hex,
            candidate=pair.candidate.address,
            reference=None if reference is None else reference.address,
            protocol=pair.protocol,
            strict=strict,
            first=first,
            expected=collect_facts(pair, first),
        )
        self._check(work)
        return work

    def count_shares(
        self, work: Work, items: Sequence[Item], corruption: Corruption | None
    ) -> Iterator[Share]:
        """Count `items` on the workers, and yield the shares in order.

        Raises:
            ClusterError: the workers, or the scheduler, are lost.
            EdgesegError: a worker failed with it.
        """
        parts = _split_items(items, len(self.list_workers()))
        title = name_phase(corruption)
        done, following, early = 0, 0, dict[int, Share]()
        self._progress.phase(title, 0, len(items))
        for index, share in self._count(work, parts, corruption):
            early[index] = share
            done += len(parts[index])
            self._progress.phase(title, done, len(items))
            while following in early:
                yield early.pop(following)
                following += 1

    def list_workers(self) -> set[str]:
        """List the addresses of the workers that are connected.

        Raises:
            ClusterError: the scheduler does not answer.
        """
        try:
            return set(self._client.nthreads(callback_timeout=_ANSWER_S))
        except (*_TIMEOUTS, CancelledError, OSError) as error:
            raise ClusterError(f"the Dask scheduler was lost: {to_line(error)}") from None
        except (AttributeError, TypeError) as error:
            raise make_release_error(error) from error

    def _check(self, work: Work) -> None:
        """Have every worker open the models, and count nothing."""
        asked = {
            name: self._client.submit(open_models, work, workers=[name], pure=False)
            for name in self.list_workers()
        }
        begin(self._progress, "opening the models on the workers")
        limit = time.monotonic() + _OPEN_S
        while waiting := {name for name, future in asked.items() if not future.done()}:
            _wait([asked[name] for name in waiting])
            if time.monotonic() > limit:
                raise ClusterError(
                    f"worker {min(waiting)} has not opened the models in {_OPEN_S} seconds"
                )
            for name in waiting - self.list_workers():  # a worker that has left takes no part
                del asked[name]
        refusals = {name: _to_failure(future) for name, future in asked.items()}
        told = [(name, reason) for name, reason in refusals.items() if reason is not None]
        if told:
            name, reason = told[0]
            others = f" (and {len(told) - 1} more workers)" if len(told) > 1 else ""
            raise ClusterError(f"worker {name} cannot take part{others}: {to_line(reason)}")
        found = Counter[str]()
        for future in asked.values():
            answer = _fetch(future)
            if isinstance(answer, str):
                found[answer] += 1
            else:
                self.list_workers()  # raises if the scheduler was lost, and not the worker
        self.processors = dict(found)
        foreign = sorted(self.processors.keys() - {name_processor()})
        if foreign:
            self._progress.say(
                f"workers have other processors ({', '.join(foreign)}): their rounding may change "
                f"single pixels"
            )

    def _count(
        self, work: Work, parts: Sequence[Sequence[Item]], corruption: Corruption | None
    ) -> Iterator[tuple[int, Share]]:
        left = iter(enumerate(parts))
        running: dict[Future, int] = {}

        def submit(count: int) -> None:
            for index, part in islice(left, count):
                future = self._client.submit(count_share, work, part, corruption, pure=False)
                running[future] = index

        workers = self.list_workers()
        submit(_WAITING_A_WORKER * max(1, len(workers)))
        patience = _Patience(self._progress)
        try:
            while running:
                _wait(list(running))
                workers = self._tell_lost(workers)
                done = [future for future in running if future.done()]
                patience.check(len(done), len(workers))
                for future in done:
                    failure = _to_failure(future)
                    if failure is not None:
                        raise to_edgeseg_error(failure) from None
                    if future.status != "finished":
                        continue  # it was lost, and is counted again
                    share = _fetch(future)
                    if isinstance(share, Share):
                        submit(1)
                        yield running.pop(future), share
        finally:
            with suppress(CancelledError, OSError):
                self._client.cancel(list(running))

    def _tell_lost(self, before: set[str]) -> set[str]:
        now = self.list_workers()
        for name in sorted(before - now):
            self._progress.say(f"worker {name} was lost; its shares are counted again")
        return now


class _Patience:
    """How long to wait for a cluster that has no worker, or that counts nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._staffed = self._heard = time.monotonic()

    def check(self, done: int, workers: int) -> None:
        """Check, every few seconds, how many shares are done and how many workers there are.

        Raises:
            ClusterError: there has been no worker for too long.
        """
        now = time.monotonic()
        self._staffed = now if workers or done else self._staffed
        self._heard = now if done else self._heard
        if now - self._staffed > PATIENCE_S:
            raise ClusterError(
                f"the cluster has had no worker for {PATIENCE_S} seconds; start some and "
                f"run this again"
            )
        if now - self._heard > _QUIET_S:
            self._progress.say(f"no share came back for {_QUIET_S} seconds from {workers} workers")
            self._heard = now


def _wait(futures: Sequence[Future]) -> None:
    """Wait a while until one of `futures` is done."""
    from distributed import wait

    # A lost scheduler shows only when it is asked.
    with suppress(*_TIMEOUTS, CancelledError, OSError):
        wait(futures, timeout=_POLL_S, return_when="FIRST_COMPLETED")


def _fetch(future: Future) -> object:
    """Fetch a result; None if its worker or the scheduler is gone."""
    with suppress(*_TIMEOUTS, CancelledError, OSError):
        result: object = future.result(timeout=_ANSWER_S)
        return result
    return None


def _to_failure(future: Future) -> BaseException | None:
    """Find why a share that is done has no result; None where it has one, or will have it again.

    What a worker counted is lost with it, even while it is asked for, and then counted again.
    """
    if future.status == "error":
        failure: BaseException = future.exception()
        return failure
    if future.status == "cancelled":
        return CancelledError("its share was given up")
    return None


def _split_items(items: Sequence[Item], workers: int) -> list[Sequence[Item]]:
    size = -(-len(items) // (_SHARES_A_WORKER * max(1, workers)))
    size = max(1, min(_MOST_IMAGES, size))
    return [items[start : start + size] for start in range(0, len(items), size)]
