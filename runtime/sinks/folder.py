"""Writes a folder of pictures, one for each frame."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from pathlib import Path

from edgeseg.errors import SinkError
from edgeseg.files.signature import is_replaceable
from edgeseg.progress import Say
from edgeseg.runtime.result import Result
from edgeseg.runtime.sinks.partial import LastStepError, give_name, name_partial
from edgeseg.text import explain, pluralize

__all__ = ["FolderSink"]


class FolderSink:
    """Fills a temporary folder; `finish` moves the files, one by one, to the final one.

    The files replace those of an earlier run, and no other file.
    """

    def __init__(
        self,
        folder: Path,
        what: str,
        write: Callable[[Result, Path], None],
        *,
        beside: Mapping[str, str],
        say: Say,
    ) -> None:
        """Open the folder; `write` makes one picture, and `what` names its kind in messages.

        `beside` has texts, by file name, that explain the pictures. `say` receives a line about
        pictures of an earlier run that stay.
        """
        folder = folder.resolve()  # `.` has no name to derive the temporary one from
        self._what = what
        self._write = write
        self._beside = beside
        self._say = say
        self._folder = folder
        self._partial = name_partial(folder)
        self._any = False
        if folder.exists() and not folder.is_dir():
            raise SinkError(f"{what}s cannot go to {folder}: it is a file, give a folder")
        try:
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise self._refuse(error) from None

    def write(self, result: Result, /) -> None:
        """Write `NAME.png`, or beside it what `write` makes of it.

        NAME is the image's own name, or the frame's number.
        """
        path = self._partial / f"{result.captured.name}.png"
        try:
            self._write(result, path)
        except OSError as error:
            raise SinkError(
                f"{self._what} {path.name} cannot be written to {self._folder}: {explain(error)}"
            ) from None
        self._any = True

    def finish(self) -> Path | None:
        """Move all pictures into the final folder, with the texts that explain them.

        Without a picture there is no folder.

        Raises:
            LastStepError: a picture, or all of them, cannot be moved into the folder.
        """
        if not self._any:
            self.discard()
            return None
        try:
            for name, text in self._beside.items():
                (self._partial / name).write_text(text, "utf-8")
            self._folder.mkdir(exist_ok=True)
            made = sorted(self._partial.iterdir())
            stay = [error for error in map(self._move, made) if error]
            self._say_kept({path.name for path in made})
        except OSError as error:
            kept = f"what there is stays in {self._partial}"
            raise LastStepError(f"{self._refuse(error)}; {kept}") from None
        if stay:
            more = f" (and {len(stay) - 1} more)" if stay[1:] else ""
            raise LastStepError(f"{stay[0]}{more}")
        self.discard()
        return self._folder

    def _move(self, path: Path) -> LastStepError | None:
        """Move a file, or return the reason why it stays."""
        try:
            give_name(path, self._folder / path.name)
        except LastStepError as error:
            return error
        return None

    def _say_kept(self, made: Set[str]) -> None:
        """Say how many pictures of an earlier run lie among the new ones."""
        there = (*self._folder.glob("*.png"), *self._folder.glob("*.tif"))
        others = (path for path in there if path.name not in made)
        kept = sum(map(_is_earlier, others))
        if made and kept:
            earlier = pluralize(kept, self._what)
            self._say(f"{earlier} of an earlier run kept in {self._folder.name}, beside the new")

    def discard(self) -> None:
        """Remove the temporary folder."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def _refuse(self, error: OSError) -> SinkError:
        return SinkError(f"{self._what}s cannot go to {self._folder}: {explain(error)}")


def _is_earlier(path: Path) -> bool:
    """Tell whether an earlier run wrote a file; an unreadable file is somebody else's."""
    with suppress(OSError):
        return is_replaceable(path)
    return False
