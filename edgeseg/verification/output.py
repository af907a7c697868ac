"""Holds the folder of a report during the measurement, and refuses one that holds the input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgeseg.errors import ReportError
from edgeseg.files.locks import hold_lock, name_lock_in
from edgeseg.reports.writing import REPORTS, check_can_write
from edgeseg.verification.request import VerifyRequest

__all__ = ["hold_report_folder"]


@contextmanager
def hold_report_folder(request: VerifyRequest) -> Iterator[None]:
    """Hold the report's folder, if there is one, while the block runs.

    Raises:
        ReportError: the folder does not take a report, or it holds what is read.
        BusyError: another process writes a report there.
        MissingPackageError: jinja2 is not installed.
    """
    with ExitStack() as stack:
        if request.report is not None:
            _check_unread(request, request.report)
            check_can_write(request.report)  # before an hour of measuring
            try:
                stack.enter_context(
                    hold_lock(name_lock_in(request.report), f"the report in {request.report}")
                )
            except OSError as error:
                raise ReportError(
                    f"the report cannot be written to {request.report}: {error.strerror}; choose "
                    f"another folder"
                ) from None
        yield


def _check_unread(request: VerifyRequest, folder: Path) -> None:
    path = folder.resolve()
    for name in filter(None, (request.source, request.reference)):
        if Path(name).is_dir() and path.is_relative_to(Path(name).resolve()):
            raise _make_refusal(folder, name)
    if request.baseline is not None:
        baseline = request.baseline.resolve()
        if baseline.parent == path and baseline.name in REPORTS:
            raise _make_refusal(folder, request.baseline)
    if request.data is not None and _holds_data(path, request.data):
        raise _make_refusal(folder, request.data)


def _holds_data(path: Path, data: str) -> bool:
    """Check whether `path` is the data set's folder, or an existing folder inside it."""
    root = Path(data if Path(data).exists() else data.partition(":")[2] or data)
    if not root.is_dir() or not path.is_relative_to(root.resolve()):
        return False
    return path.is_dir() and any(path.iterdir()) and not (path / REPORTS[0]).exists()


def _make_refusal(folder: Path, what: object) -> ReportError:
    return ReportError(f"{folder} lies where {what} is read from; choose another folder")
