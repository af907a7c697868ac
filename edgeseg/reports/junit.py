"""Writes the report as JUnit XML for CI systems: each gate is a test case, even if not judged."""

from __future__ import annotations

from datetime import datetime, timezone
from xml.etree import ElementTree as ET

from edgeseg.accuracy.gates import Gate, Unjudged
from edgeseg.reports.phrases import (
    NOT_JUDGED,
    NOTHING,
    describe_gate,
    describe_network,
    format_number,
    name_subject,
    name_verdict,
    to_plain,
    write_headline,
    write_summary,
)
from edgeseg.reports.report import Report

__all__ = ["to_junit"]

# The time of each gate is not known, but some readers require the attribute.
_NO_TIME = "0.000"


def to_junit(report: Report) -> str:
    """Write an XML document in UTF-8; its `system-out` has notes and skipped images."""
    counts = {
        "tests": str(len(report.gates) + len(report.unjudged)),
        "failures": str(len(report.misses) + len(report.unjudged)),
        "errors": "0",
        "skipped": "0",
        "time": _NO_TIME,
    }
    root = ET.Element("testsuites", {"name": "edgeseg verify", **counts})
    about = {"name": name_subject(report.candidate), **counts, **_to_timestamp(report.created)}
    suite = ET.SubElement(root, "testsuite", about)
    properties = ET.SubElement(suite, "properties")
    for name, value in _list_properties(report).items():
        ET.SubElement(properties, "property", {"name": name, "value": to_plain(value)})
    # Readers take what is before the last dot for a package.
    classname = f"edgeseg.{to_plain(report.candidate.name).replace('.', '_')}"
    for gate in report.gates:
        _add_case(suite, gate, classname)
    for one in report.unjudged:
        _add_unjudged(suite, one, classname)
    ET.SubElement(suite, "system-out").text = "\n".join(_write_lines(report))
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add_case(suite: ET.Element, gate: Gate, classname: str) -> None:
    words = describe_gate(gate)
    about = {"classname": classname, "name": words.name, "time": _NO_TIME}
    case = ET.SubElement(suite, "testcase", about)
    if not gate.passed:
        reason = f"{words.name}: {words.value_in_units}, the limit is {words.limit_in_units}"
        _add_failure(case, reason, kind="gate missed")


def _add_unjudged(suite: ET.Element, one: Unjudged, classname: str) -> None:
    """Add an unjudged gate as a failure, since CI systems let a skipped test pass."""
    about = {"classname": classname, "name": to_plain(one.name), "time": _NO_TIME}
    case = ET.SubElement(suite, "testcase", about)
    reason = f"{NOT_JUDGED}: {to_plain(one.name)}: {to_plain(one.told)}"
    _add_failure(case, reason, kind="not judged")


def _add_failure(case: ET.Element, reason: str, *, kind: str) -> None:
    # Some readers show the attribute, others the text.
    ET.SubElement(case, "failure", {"message": reason, "type": kind}).text = reason


def _to_timestamp(created: str) -> dict[str, str]:
    """Write a time as JUnit's schema asks: in UTC, without a zone; nothing for no time."""
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return {}
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return {"timestamp": moment.isoformat(timespec="seconds")}


def _list_properties(report: Report) -> dict[str, str]:
    known: dict[str, str | None] = {
        "candidate": name_subject(report.candidate),
        "candidate sha256": report.candidate.sha256,
        "network": describe_network(report.candidate),
        "engine": report.candidate.engine,
        "reference": None if report.reference is None else name_subject(report.reference),
        "reference network": None
        if report.reference is None
        else describe_network(report.reference),
        "reference sha256": None if report.reference is None else report.reference.sha256,
        "data": None if report.data is None else report.data.name,
        "data split": None if report.data is None else report.data.split,
        "data sha256": None if report.data is None else report.data.sha256,
        "protocol": None if report.data is None else report.way,
        "images measured": str(report.images),
        "images skipped": str(len(report.skipped)),
        "mIoU in points": format_number(report.miou),
        "reference mIoU in points": format_number(report.reference_miou),
        "drop in points": format_number(report.drop),
        "pixel agreement in %": format_number(report.pixel_agreement),
        "baseline": None if report.baseline is None else report.baseline.baseline,
        "cpu": report.machine.cpu,
    }
    return {name: value for name, value in known.items() if value and value != NOTHING}


def _write_lines(report: Report) -> list[str]:
    lines = [f"{name_verdict(report)}: {write_headline(report)}", write_summary(report)]
    lines += [f"note: {to_plain(note)}" for note in report.notes]
    for title, images in (("skipped", report.skipped), ("converted", report.converted)):
        lines += [f"{title}: {to_plain(one.name)}: {to_plain(one.reason)}" for one in images]
    return lines
