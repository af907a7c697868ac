"""Forms as data: named ones, files, and what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from edgeseg.errors import SpecError
from edgeseg.segformer.form import EXACT, FORMS, Form, HeadForm, describe_form, halve, read_form


def write(folder: Path, content: object) -> str:
    path = folder / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_named_forms_go_from_careful_to_bold() -> None:
    forms = list(FORMS.values())
    assert forms[0] == EXACT
    assert [form.name for form in forms] == list(FORMS)
    assert [form.is_exact for form in forms] == [True, False, False, False]
    for careful, bold in itertools.pairwise(forms):
        assert careful.queries <= bold.queries
        assert careful.keys <= bold.keys
    assert all(read_form(name) is form for name, form in FORMS.items())


def test_a_form_is_read_from_a_file(tmp_path: Path) -> None:
    given = {"name": "ours", "queries": [2, 1], "keys": [1], "head": "cascade"}
    expected = Form(
        name="ours",
        queries=frozenset({1, 2}),
        keys=frozenset({1}),
        head=HeadForm.CASCADE,
    )
    assert read_form(write(tmp_path, given)) == expected
    assert read_form(write(tmp_path, {"keys": [3]})) == Form(name="mine", keys=frozenset({3}))


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (EXACT, "the network as it was trained"),
        (
            FORMS["merge-queries-keys2"],
            (
                "queries of all stages averaged 2x2, keys and values of stage 2 averaged 2x2, the "
                "head upsampled in a cascade"
            ),
        ),
        (Form(name="q", queries=frozenset({3})), "queries of stage 3 averaged 2x2"),
        (
            Form(name="kv", keys=frozenset({1, 2, 4})),
            "keys and values of stages 1, 2 and 4 averaged 2x2",
        ),
        (Form(name="head", head=HeadForm.CASCADE), "the head upsampled in a cascade"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_form_says_what_it_changes(form: Form, told: str) -> None:
    assert form.describe() == told
    assert form.changes == (None if form is EXACT else told)


@pytest.mark.parametrize(
    ("form", "costs", "told"),
    [
        (EXACT, {}, "exact: the network as it was trained"),
        (
            EXACT,
            {"macs": 3_514_000_000, "exact_macs": 3_514_000_000},
            "exact: the network as it was trained (3.51 G multiply-adds)",
        ),
        (
            Form(name="mine", keys=frozenset({3})),
            {"macs": 2_996_000_000, "exact_macs": 4_000_000_000},
            "mine: keys and values of stage 3 averaged 2x2 (3.00 G multiply-adds, 75 % of exact)",
        ),
    ],
)
def test_a_form_is_told_with_its_cost(form: Form, costs: dict[str, int], told: str) -> None:
    assert describe_form(form.name, form.changes, **costs) == told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"form .*mine.json is not JSON \(.*\); mend the file, for example to {\"queries\""),
        ("", r"form .*mine.json is empty; write for example {\"queries\": \[1, 2\], "),
        ("null", r"form .*mine.json is no JSON object; write for example {"),
        ("[1]", r"form .*mine.json is no JSON object; write for example {"),
        (
            {"query": [1]},
            r"has no 'query'; leave it out, or write one of name, queries, keys, head",
        ),
        ({"queries": 1}, r"mine.json: `queries` is no list of stages; write it as \[1, 2\]"),
        ({"keys": [True]}, r"mine.json: `keys` is no list of stages; write it as \[1, 2\]"),
        ({"keys": [5]}, r"mine.json: `keys` names stage 5; name stages 1 to 4"),
        (
            {"head": "stride8"},
            r"mine.json: `head` is 'stride8'; choose direct, cascade or stride-8",
        ),
        ({"head": ["cascade"]}, r"mine.json: `head` is .*; choose direct, cascade or stride-8"),
        ({"name": ""}, r"mine.json: the form's name is ''; give it one that prints"),
        ({"name": 3}, r"mine.json: the form's name is 3; give it one that prints"),
        ({"name": "Exact"}, r"mine.json: Exact means another form already; give this one another"),
        ({"name": "auto"}, r"mine.json: auto means another form already"),
        ({"name": "a+b"}, r"mine.json: the form's name 'a\+b' has \+ or /; leave these out"),
    ],
)
def test_what_is_no_form_is_refused_in_one_line(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        read_form(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_choices(tmp_path: Path) -> None:
    names = "exact, auto, merge-queries, merge-queries-keys2, merge-queries-keys12"
    for path in ("bolder", str(tmp_path / "gone.json"), "x" * 300):
        says = (
            rf"form {path} is neither a file \(.*\) nor one of {names}; choose one of them, or wr"
        )
        with pytest.raises(SpecError, match=says) as caught:
            read_form(path)
        example = str(caught.value).partition("such as ")[2]
        assert not read_form(write(tmp_path, example)).is_exact
    with pytest.raises(SpecError, match=f"is a folder; name a JSON file in it, or one of {names}"):
        read_form(str(tmp_path))


def test_a_search_alone_knows_what_auto_means() -> None:
    with pytest.raises(SpecError, match="form auto is for a search; here name one of exact, merge"):
        read_form("auto")


def test_a_form_of_other_stages_is_refused() -> None:
    with pytest.raises(SpecError, match="form it: a network has the stages 1 to 4, and no stage 0"):
        Form(name="it", queries=frozenset({0}))


def test_an_odd_side_is_halved_up() -> None:
    assert halve((45, 60)) == (23, 30)
    assert halve((1, 2)) == (1, 1)
