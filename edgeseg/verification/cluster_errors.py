"""Turns what goes wrong in a cluster into expected errors: one line each, with a remedy."""

from __future__ import annotations

from concurrent.futures import CancelledError

from edgeseg.errors import ClusterError, EdgesegError
from edgeseg.machine.extras import make_install_command

__all__ = ["to_edgeseg_error", "to_line", "make_release_error"]


def make_release_error(error: Exception) -> ClusterError:
    """Make an error for a release of Dask that lacks what edgeseg needs."""
    import distributed

    return ClusterError(
        f"this edgeseg does not know distributed {distributed.__version__} ({to_line(error)}); "
        f"install one that it knows: {make_install_command(['dask'])}"
    )


def to_edgeseg_error(failure: BaseException) -> EdgesegError:
    """Turn a failure into an expected error."""
    from distributed.scheduler import KilledWorker

    if isinstance(failure, EdgesegError):
        return failure
    if isinstance(failure, KilledWorker):
        return ClusterError(
            f"several workers in turn died of one share, the last one "
            f"{failure.last_worker.address}; do they run out of memory?"
        )
    if isinstance(failure, CancelledError):
        return ClusterError("the Dask scheduler was lost, or gave up what it was asked for")
    return ClusterError(f"a worker failed: {to_line(failure)}")


def to_line(error: BaseException) -> str:
    """Write an error in one line."""
    if isinstance(error, ModuleNotFoundError) and error.name == "edgeseg":
        return "edgeseg is not installed there"
    lines = str(error).splitlines() or [type(error).__name__]
    known = isinstance(error, EdgesegError | OSError)
    return lines[0] if known else f"{type(error).__name__}: {lines[0]}"
