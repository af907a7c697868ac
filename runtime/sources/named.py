"""Gives each of several sources a name, which its files and its page carry."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edgeseg.demo import DEMO
from edgeseg.errors import SourceError, SpecError
from edgeseg.files.homes import expand_home
from edgeseg.redact import GSTREAMER
from edgeseg.runtime.sources.address import STDIN, is_source_file, read_name
from edgeseg.spec import check_number
from edgeseg.text import explain, join_words

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["NamedSource", "check_readers", "name_sources", "read_source_file"]

# Names become folders, addresses of pages and labels of metrics.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OWN_NAMES: Final = MappingProxyType({DEMO: DEMO, STDIN: "stdin"})
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]+")
_FORM: Final = '[sources], with a line such as front = "rtsp://..." or rear = 0 for each'


Given = str | Path | int


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A camera's number, or any source that `edgeseg run --source` takes; and a name of its own.

    `given` tells a name that the user gave from one that was made of the address.

    Raises:
        SpecError: a number is negative, or the name is no plain word.
    """

    uri: str | int
    name: str = "source"
    given: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.uri, int):
            check_number("source", self.uri, least=0, whole=True)
        if _NAME.fullmatch(self.name) is None:
            raise SpecError(
                f"{self.name!r} cannot name a source; use up to 64 letters, digits, - and _"
            )


def name_sources(
    sources: Given | Sequence[Given] | Mapping[str, Given],
) -> tuple[NamedSource, ...]:
    """Name each source: as the mapping does, or after the file, the camera or the stream.

    An address gives no name, because it may hold a secret: streams are counted. A .toml file stands
    alone, and names the sources itself.

    Raises:
        SpecError: a number is negative, a name is no plain word, or there are sources beside a
            .toml file.
        SourceError: an address is empty or of an unknown kind, or a .toml file names no sources.
    """
    if isinstance(sources, Mapping):
        return tuple(
            NamedSource(_to_uri(uri), str(name), given=True) for name, uri in sources.items()
        )
    several = [sources] if isinstance(sources, str | Path | int) else sources
    files = [given for given in map(str, several) if is_source_file(given)]
    if files and len(several) > 1:
        raise SpecError(f"{files[0]} names all sources; give it alone, or add to the file")
    if files:
        return name_sources(read_source_file(Path(expand_home(files[0]))))
    named: list[NamedSource] = []
    for uri in map(_to_uri, several):
        base = _derive_name(uri)
        taken = {one.name for one in named}
        names = (base, *(f"{base}-{count}" for count in range(2, len(taken) + 2)))
        named.append(NamedSource(uri, next(name for name in names if name not in taken)))
    return tuple(named)


def check_readers(sources: Sequence[NamedSource]) -> None:
    """Refuse a pipe that two sources would read: each would get a part of its bytes.

    Raises:
        SpecError: standard input, or a named pipe, is named twice.
    """
    readers: dict[str, str] = {}
    for source in sources:
        pipe = _find_pipe(source.uri)
        if pipe in readers:
            raise SpecError(
                f"{pipe} is named twice, for {readers[pipe]} and {source.name}: each would get a "
                f"part of its bytes; name it once"
            )
        if pipe is not None:
            readers[pipe] = source.name


def _find_pipe(uri: str | int) -> str | None:
    """Find the pipe that a name means, as its one reader knows it."""
    if uri == STDIN:
        return "standard input"
    try:
        return str(Path(str(uri)).resolve()) if Path(str(uri)).is_fifo() else None
    except (OSError, ValueError):  # whoever opens it says what is wrong
        return None


def _to_uri(given: Given) -> str | int:
    return read_name(given if isinstance(given, int) else expand_home(str(given)))


def _derive_name(uri: str | int) -> str:
    if isinstance(uri, int):
        return f"camera-{uri}"
    if uri in _OWN_NAMES:
        return _OWN_NAMES[uri]
    if uri.startswith(GSTREAMER):
        return "pipeline"
    if "://" in uri:
        return "stream"
    plain = _UNFIT.sub("-", Path(uri).stem).strip("-_")[:48]
    return plain or "source"


def read_source_file(path: Path) -> dict[str, str | int]:
    """Read a TOML file of sources: a table `[sources]` of names, each with a string or a number.

    A relative path of a source is relative to the file's folder.

    Raises:
        SourceError: the file cannot be read, or holds something else.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SourceError(f"sources {path} cannot be read: {explain(error)}") from None
    except ValueError as error:
        raise SourceError(f"sources {path} is not TOML ({error}); write {_FORM}") from None
    table = content.pop("sources", None)
    if not isinstance(table, dict) or not table:
        raise SourceError(f"sources {path} does not name sources; write {_FORM}")
    if content:
        raise SourceError(
            f"sources {path} holds {join_words([*content])} beside [sources], which means nothing "
            f"here; remove it, or move it into [sources]"
        )
    return {name: _read_uri(path, name, given) for name, given in table.items()}


def _read_uri(path: Path, name: str, given: object) -> str | int:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise SourceError(f"sources {path}: {name} is neither a text nor a number; write {_FORM}")
    if given == "":
        raise SourceError(f"sources {path}: {name} is empty; write {_FORM}")
    if isinstance(given, int) or given in _OWN_NAMES or given.isdecimal():
        return given
    if "://" in given or given.startswith(GSTREAMER):
        return given
    return str(path.parent / Path(given).expanduser())
