from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from reports import compared, failed, golden_only, hostile, measured, without_reference

from edgeseg.reports.junit import to_junit
from edgeseg.reports.report import Report

# What Jenkins' and Ant's schemas have in common: attributes, and children in their order.
ALLOWED = {
    "testsuites": ({"name", "tests", "failures", "errors", "skipped", "time"}, ["testsuite"]),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        ["properties", "testcase", "system-out"],
    ),
    "properties": (set(), ["property"]),
    "property": ({"name", "value"}, []),
    "testcase": ({"classname", "name", "time"}, ["failure"]),
    "failure": ({"message", "type"}, []),
    "system-out": (set(), []),
}


def parsed(report: Report) -> ET.Element:
    return ET.fromstring(to_junit(report).encode())


@pytest.mark.parametrize(
    "make", [golden_only, without_reference, measured, failed, compared, hostile]
)
def test_it_is_what_readers_of_junit_expect(make: object) -> None:
    assert callable(make)
    for element in parsed(make()).iter():
        attributes, children = ALLOWED[element.tag]
        assert set(element.attrib) == attributes
        places = [children.index(child.tag) for child in element]
        assert places == sorted(places)


def test_each_gate_is_a_case() -> None:
    report = failed()
    root = parsed(report)
    cases = root.findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == [gate.name for gate in report.gates]
    assert {case.get("classname") for case in cases} == {"edgeseg.b0-camvid-openvino"}
    messages = [failure.get("message") for failure in root.iter("failure")]
    assert messages[0] == "mIoU drop: 2.55 points, the limit is at most 1.00 points"
    assert len(messages) == len(report.misses)
    for element in (root, root[0]):
        counts = [element.get(name) for name in ("tests", "failures", "errors", "skipped")]
        assert counts == ["4", "2", "0", "0"]


def test_skipped_images_are_told() -> None:
    root = parsed(failed())
    assert "skipped: 0016E5_00003: no mask of this name\n" in (root.findtext(".//system-out") or "")
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert properties["images skipped"] == "14"
    assert properties["data"] == "camvid"


@pytest.mark.parametrize(
    ("created", "stamp"),
    [
        ("2026-07-04T12:34:56+02:00", "2026-07-04T10:34:56"),
        ("2026-07-04T12:34:56Z", "2026-07-04T12:34:56"),
        ("2026-07-04T12:34:56.789", "2026-07-04T12:34:56"),
        ("yesterday", None),
    ],
)
def test_the_time_is_in_the_form_of_the_schema(created: str, stamp: str | None) -> None:
    suite = parsed(golden_only(created=created))[0]
    assert suite.get("timestamp") == stamp


def test_what_xml_forbids_is_replaced() -> None:
    text = to_junit(hostile())
    assert not re.search("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]", text)
    names = [case.get("name") for case in ET.fromstring(text.encode()).iter("testcase")]
    assert names[4] == "class IoU drop (<script>alert(1)</script> 4)"
    assert names[9] == "class IoU drop (lone\ufffd 9)"
