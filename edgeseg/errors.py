"""Every expected failure, in one tree.

    EdgesegError              the command line prints it in one line, exit status 1
    ├── CheckpointError       weights that cannot be read, or are not a SegFormer
    ├── SpecError             sizes, labels or statistics that no SegFormer can have
    ├── ExportError           a graph that does not compute what the checkpoint computes
    ├── CalibrationError      images that cannot serve to find ranges
    ├── GateMissedError       nothing passed the accuracy gates; exit status 3
    │   └── NotJudgedError    a limit that nothing here can judge; exit status 3 as well
    ├── BundleError           a bundle that is damaged, foreign, or cannot be written
    ├── BusyError             an output that another process writes at the moment
    ├── DatasetError          images and masks that do not fit together
    │   └── TruthError        a mask that shows that all masks were misread
    ├── ReportError           a report that cannot be read, written, or compared with
    ├── SourceError           a camera, video or image that cannot be read
    │   └── FormatError       an image that Pillow does not know, or gives other pixels for
    ├── SinkError             an output that cannot be written
    ├── BackendError          an engine that refuses the artifact
    │   └── DeviceLostError   a GPU that this process cannot use any more
    ├── ClusterError          workers that are not there, are lost, or differ from this machine
    └── MissingPackageError   an optional package is absent or does not load; says what to run

Anything else that escapes is a bug in edgeseg and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BackendError",
    "BundleError",
    "BusyError",
    "CalibrationError",
    "CheckpointError",
    "ClusterError",
    "DatasetError",
    "DeviceError",
    "DeviceLostError",
    "EdgesegError",
    "ExportError",
    "FormatError",
    "GateMissedError",
    "MissingPackageError",
    "NotJudgedError",
    "ReportError",
    "SinkError",
    "SourceError",
    "SpecError",
    "TruthError",
]


class EdgesegError(Exception):
    """An expected failure. The message says which thing, what is wrong, and what to do."""


class CheckpointError(EdgesegError):
    """Weights that cannot be read, or that are not a SegFormer's."""


class SpecError(EdgesegError):
    """A model, input or label description that cannot be right."""


class ExportError(EdgesegError):
    """The exported graph differs from the checkpoint, or could not be made."""


class CalibrationError(EdgesegError):
    """Images that cannot serve to find the ranges of activations."""


class GateMissedError(EdgesegError):
    """Nothing that was tried passed the accuracy gates. The command line's exit status is 3."""


class NotJudgedError(GateMissedError):
    """A limit was set that nothing measured here can judge."""


class BundleError(EdgesegError):
    """A bundle that is damaged, of an unknown schema, or cannot be written."""


class BusyError(EdgesegError):
    """An output, or a folder, that another process writes at the moment."""


class DatasetError(EdgesegError):
    """Images and masks that do not fit together."""


class SplitNeededError(DatasetError):
    """A data set with several splits, `splits`, of which one has to be chosen."""

    def __init__(self, origin: object, splits: Sequence[str]) -> None:
        super().__init__(
            f"data set {origin} has the splits {', '.join(splits)}; choose one with --split"
        )
        self.splits = tuple(splits)

    def __reduce__(self) -> tuple[object, ...]:
        return DatasetError, self.args


class TruthError(DatasetError):
    """A mask that shows that all masks were misread, so that no figure measured on them holds."""


class ReportError(EdgesegError):
    """A report that cannot be read, written, or compared with another."""


class SourceError(EdgesegError):
    """A camera, stream, video or image that cannot be read."""


class GivenUpError(SourceError):
    """A camera or stream that lines told of as lost or absent, and whose attempts are used up."""


class FormatError(SourceError):
    """An image in a format that Pillow does not know, or gives other pixels for than the file's."""


class SinkError(EdgesegError):
    """An output that cannot be written."""


class BackendError(EdgesegError):
    """An inference engine that refuses the artifact."""


class DeviceError(BackendError):
    """A device that an engine lists, and that cannot be used here."""


class DeviceLostError(BackendError):
    """A GPU whose every further call fails in this process, so that no frame can follow."""


class ClusterError(EdgesegError):
    """A Dask cluster that cannot be reached, lost its workers, or would give other results."""


class MissingPackageError(EdgesegError):
    """A package that this command needs is not installed, or does not load; `state` says which."""

    def __init__(
        self, package: str, *, purpose: str, command: str, state: str = "not installed here"
    ) -> None:
        super().__init__(f"{purpose} needs {package}, {state}; run: {command}")
        self._told = (package, purpose, command, state)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the error with its keywords.

        It may be raised in one process and read in another.
        """
        return _rebuild_missing, self._told


def _rebuild_missing(package: str, purpose: str, command: str, state: str) -> MissingPackageError:
    return MissingPackageError(package, purpose=purpose, command=command, state=state)
