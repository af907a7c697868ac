"""The overview of a sweep tells forms, and what they cost, in each of its files."""

from __future__ import annotations

import json

import msgspec
from reports import CANDIDATE, DATA, measured

from edgeseg.sweep.overview import describe_sweep, to_html, to_markdown
from edgeseg.sweep.results import Row, Sweep, encode_sweep

MERGED = "orm merge-queries: queries of all stages averaged 2x2, the head upsampled in a cascade"
EXACT = "orm exact: the network as it was trained"


def _row(name: str, **fields: object) -> Row:
    values = {"weights": "w", "target": "openvino", "precision": "int8", "status": "passed"}
    return Row(name=name, **{**values, **fields})


def _sweep() -> Sweep:
    form = {"form": CANDIDATE.form, "form_changes": CANDIDATE.form_changes}
    return Sweep(
        created="2026-06-30T09:12:44+00:00",
        data=DATA,
        frame=(720, 960),
        rounds=20,
        machine=measured().machine,
        tools={},
        rows=(
            _row("one", variant="merge-queries+fp32", macs=2_570_000_000, **form),
            _row("two", variant="merge-queries+int8", macs=1_370_000_000, **form),
            _row("three", variant="fp32", macs=3_510_000_000),
            _row("four", status="failed", reason="it broke"),
        ),
    )


def test_every_cell_has_its_multiply_adds_and_each_form_is_told_once() -> None:
    found = _sweep()
    texts = (to_markdown(found), to_html(found, None), "\n".join(describe_sweep(found)))
    for text in texts:
        assert text.count(MERGED) == text.count(EXACT) == 1
        assert [text.count(macs) for macs in ("2.57", "1.37", "3.51")] == [1, 1, 1]
    rows = json.loads(encode_sweep(found))["rows"]
    assert [row["form"] for row in rows] == ["merge-queries", "merge-queries", None, None]
    assert rows[0]["form_changes"] == CANDIDATE.form_changes
    assert [row["macs"] for row in rows] == [2_570_000_000, 1_370_000_000, 3_510_000_000, None]


def test_a_sweep_in_which_nothing_was_measured_tells_no_form() -> None:
    failed = msgspec.structs.replace(_sweep(), rows=_sweep().rows[-1:])
    assert "orm exact" not in to_markdown(failed) + to_html(failed, None)
