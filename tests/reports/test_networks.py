"""Every kind of report names the form that was measured, its changes and multiply-adds."""

from __future__ import annotations

from html import unescape

import msgspec
import pytest
from reports import CAMVID, CANDIDATE, REFERENCE, compared, golden_only, measured

from edgeseg.reports.html import to_html
from edgeseg.reports.junit import to_junit
from edgeseg.reports.markdown import to_markdown
from edgeseg.reports.phrases import describe_network, describe_networks
from edgeseg.reports.report import Report, Subject
from edgeseg.reports.terminal import describe_report

FORMED = (
    "form merge-queries: queries of all stages averaged 2x2, the head upsampled in a cascade (2.50 "
    "G multiply-adds, 71 % of exact)"
)
PUBLISHED = "the network as published (6.42 G multiply-adds)"
EXACT = msgspec.structs.replace(
    CANDIDATE, variant="fp32", form=None, form_changes=None, macs=CANDIDATE.exact_macs
)
NEITHER = {"form_changes": None, "macs": None, "exact_macs": None}


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        (CANDIDATE, FORMED),
        (EXACT, "form exact: the network as it was trained (3.51 G multiply-adds)"),
        (REFERENCE, PUBLISHED),
        (msgspec.structs.replace(CANDIDATE, **NEITHER), "form merge-queries"),
        (msgspec.structs.replace(EXACT, **NEITHER), ""),
    ],
    ids=["form", "exact", "checkpoint", "form in an old report", "old report"],
)
def test_a_network_in_words(subject: Subject, told: str) -> None:
    assert describe_network(subject) == told


def test_every_kind_of_report_has_them() -> None:
    report = measured()
    texts = (
        "\n".join(describe_report(report)),
        to_markdown(report),
        unescape(to_html(report, [], labels=CAMVID)),
        to_junit(report),
    )
    for text in texts:
        assert FORMED in text
        assert PUBLISHED in text


def test_the_baselines_network_is_told_only_where_it_is_another() -> None:
    report = compared()
    assert set(describe_networks(report)) == {"candidate", "reference"}
    assert report.baseline is not None
    before = msgspec.structs.replace(report.baseline, subject=EXACT)
    changed = msgspec.structs.replace(report, baseline=before)
    assert describe_networks(changed)["baseline"] == describe_network(EXACT)
    assert describe_network(EXACT) in to_markdown(changed)


def test_a_report_of_an_older_edgeseg_is_read_and_shown_without_them() -> None:
    content = msgspec.to_builtins(golden_only())
    for field in ("form", *NEITHER):
        del content["candidate"][field]
    old = msgspec.convert(content, Report)
    assert describe_networks(old) == {}
    assert "multiply-adds" not in to_markdown(old) + to_html(old, [], labels=CAMVID)
