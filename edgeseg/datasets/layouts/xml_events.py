"""Reads XML as a stream, without the parts of the language that can do harm.

A file may declare entities that grow to gigabytes, or that name other files. Tools that export
annotations write none, so a file with any is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from edgeseg.errors import SourceError
from edgeseg.text import explain

__all__ = ["XmlListener", "read_xml"]


class XmlListener(Protocol):
    """Takes what is read of a file, in its order."""

    def start(self, name: str, attributes: dict[str, str], /) -> None:
        """Take the start of an element."""

    def end(self, name: str, /) -> None:
        """Take the end of an element."""

    def take_text(self, text: str, /) -> None:
        """Take a piece of the text in an element."""


def read_xml(path: Path, listener: XmlListener) -> None:
    """Read a file, and tell `listener` what it holds.

    Raises:
        SourceError: the file cannot be read, is no XML, or declares entities.
    """
    parser = expat.ParserCreate()

    def refuse(*_declared: object) -> None:
        raise SourceError(
            f"{path} has a DOCTYPE, which may declare entities, and no tool's export needs one; "
            f"remove it"
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = listener.start
    parser.EndElementHandler = listener.end
    parser.CharacterDataHandler = listener.take_text
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise SourceError(f"{path} is not XML: {explain(error)}") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {explain(error)}") from None
