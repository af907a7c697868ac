"""The reference of report.json as Markdown, from the schema that edgeseg itself gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from edgeseg.reports.report import make_json_schema

__all__ = ["write_report_reference"]

_HEAD: Final = """# The report, schema 1

What `edgeseg verify --report FOLDER` writes to `report.json`, and `--json` prints.
For programs: the same as a JSON Schema, [report.schema.json](../report.schema.json).
"""


def write_report_reference() -> str:
    """A table for the report and for each type in it."""
    definitions = make_json_schema()["$defs"]
    first = [name for name in definitions if name == "Report"]
    rest = sorted(name for name in definitions if name != "Report")
    return "\n".join(
        [_HEAD, *(_write_section(name, definitions[name]) for name in (*first, *rest))]
    )


def _write_section(name: str, definition: dict[str, Any]) -> str:
    about = definition.get("description", "")
    rows = [
        f"| `{field}` | {_write_type(content)} |"
        for field, content in definition.get("properties", {}).items()
    ]
    table = ["| field | type |", "|---|---|", *rows] if rows else []
    return "\n".join([f"## {name}", "", about, "", *table, ""])


def _write_type(content: dict[str, Any]) -> str:
    return " or ".join(dict.fromkeys(_write_types(content))) or "anything"


def _write_types(content: dict[str, Any]) -> Iterator[str]:
    for part in content.get("anyOf", ()):
        yield from _write_types(part)
    if "$ref" in content:
        name = content["$ref"].rpartition("/")[2]
        yield f"[{name}](#{name.lower()})"
    if "enum" in content:
        yield from (f"`{value}`" for value in content["enum"])
    elif "items" in content:
        yield f"list of {_write_type(content['items'])}" if content["items"] else "list"
    elif "prefixItems" in content:
        yield "list of " + ", ".join(map(_write_type, content["prefixItems"]))
    elif isinstance(content.get("additionalProperties"), dict):
        yield f"object of {_write_type(content['additionalProperties'])} by name"
    elif "type" in content:
        yield content["type"]
