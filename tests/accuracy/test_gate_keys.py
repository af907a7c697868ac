"""Programs find a gate by its key: its English name may be worded anew without any effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import reports
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.accuracy.gates import GOLDEN, Judged, Unjudged, judge
from edgeseg.accuracy.limits import LIMITS, Limits
from edgeseg.bundle.manifest import Accuracy
from edgeseg.deploy.select import select
from edgeseg.errors import GateMissedError
from edgeseg.quantize.recipes import Recipe
from edgeseg.quantize.search import Candidate, Trial
from edgeseg.reports.html import to_html
from edgeseg.reports.junit import to_junit
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.report import Report, encode_report, make_json_schema, read_report
from edgeseg.reports.terminal import describe_report

FORMS: dict[str, Callable[[Report], str]] = {
    "html": lambda report: to_html(report, [], labels=reports.labels_of(report)),
    "junit": to_junit,
    "markdown": to_markdown,
    "terminal": lambda report: "\n".join(describe_report(report)),
    "json": lambda report: encode_report(report).decode(),
}
KINDS = ("compared", "corrupted", "failed", "golden_only", "measured", "not_judged")
POINTS = st.floats(-20, 100)


@contextmanager
def other_words() -> Iterator[None]:
    """Every limit has another English name."""
    with pytest.MonkeyPatch.context() as patch:
        names = {key: replace(limit, gate=f"Zq{key[::-1]}") for key, limit in LIMITS.items()}
        patch.setattr("edgeseg.accuracy.gates.LIMITS", names)
        yield


def facts(judged: Judged) -> list[tuple[object, ...]]:
    """All but the names."""
    gates = [(one.key, one.value, one.limit, one.passed, one.unit) for one in judged.gates]
    return gates + [(one.key, one.reason, one.remedy) for one in judged.unjudged]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_says_the_same_of_gates_that_are_worded_anew(kind: str, form: str) -> None:
    report = getattr(reports, kind)()
    names = {one.name: f"Zq{place}x" for place, one in enumerate((*report.gates, *report.unjudged))}
    renamed = msgspec.structs.replace(
        report,
        gates=tuple(replace(gate, name=names[gate.name]) for gate in report.gates),
        unjudged=tuple(replace(one, name=names[one.name]) for one in report.unjudged),
    )
    text = FORMS[form](renamed)
    assert all(name in text for name in names.values())
    for old, new in names.items():
        text = text.replace(new, old)
    assert text == FORMS[form](report)


@given(drop=POINTS | st.none(), classes=st.lists(POINTS, max_size=3), agreement=st.floats(0, 100))
def test_verdicts_do_not_hang_on_words(
    drop: float | None, classes: list[float], agreement: float
) -> None:
    limits = Limits(max_drop=1, min_agreement=98)
    drops = {f"class {place}": value for place, value in enumerate(classes)}
    own = judge(limits, drop=drop, class_drops=drops, agreement=agreement)
    with other_words():
        other = judge(limits, drop=drop, class_drops=drops, agreement=agreement)
    assert facts(other) == facts(own)
    assert other.passed == own.passed
    assert not {one.name for one in own.gates} & {one.name for one in other.gates}


@pytest.mark.parametrize(
    ("missed", "options"),
    [
        ({"drop": 9.0}, "--max-drop"),
        ({"worst_class": "Car", "worst_class_drop": 9.0}, "--max-class-drop"),
        ({"pixel_agreement": 50.0}, "--min-agreement"),
        ({"drop": 9.0, "pixel_agreement": 50.0}, "--max-drop and --min-agreement"),
    ],
)
def test_remedies_do_not_hang_on_words(missed: dict[str, object], options: str) -> None:
    kept = {"drop": 0.0, "worst_class": "Car", "worst_class_drop": 0.0, "pixel_agreement": 99.0}
    accuracy = Accuracy(images=9, agreement_iou=90.0, **{**kept, **missed})
    int8 = Candidate(
        name="int8", precision="int8", compute="f32", path=Path("a"),
        recipe=Recipe(name="int8", int8=frozenset()),
    )  # fmt: skip
    trial = Trial(candidate=int8, int8_share=1.0, search=accuracy, gate=accuracy, verdict="missed")
    with other_words(), pytest.raises(GateMissedError, match=f"allow more loss with {options}, or"):
        select(
            [trial], precision="int8", limits=Limits(min_agreement=98), gate_images=9,
            calibrated=True, forms=lambda _candidate: (),
        )  # fmt: skip


def test_every_gate_and_what_is_not_judged_has_a_key() -> None:
    for kind in KINDS:
        report = getattr(reports, kind)()
        keys = {one.key for one in (*report.gates, *report.unjudged)}
        assert keys <= {*LIMITS, GOLDEN}
        assert report.gates[0].key == GOLDEN


def test_a_report_from_before_there_were_keys_is_read(tmp_path: Path) -> None:
    new = reports.not_judged()
    old = msgspec.json.decode(encode_report(new))
    for one in (*old["gates"], *old["unjudged"]):
        del one["key"]
    path = tmp_path / "report.json"
    path.write_bytes(msgspec.json.encode(old))
    read = read_report(path)
    assert (read.passed, {one.key for one in (*read.gates, *read.unjudged)}) == (False, {""})
    assert to_html(read, [], labels=reports.labels_of(read))
    for name in ("Gate", "Unjudged"):
        assert "key" not in make_json_schema()["$defs"][name]["required"]
    assert isinstance(read.unjudged[0], Unjudged)
