"""A bundle's forms: named with their multiply-adds wherever it is described."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import msgspec
import pytest
from plain_bundles import plain_manifest

from edgeseg.bundle.forms import describe_forms, find_form, list_forms, make_form_info
from edgeseg.bundle.manifest import decode_manifest, encode_manifest
from edgeseg.bundle.store import open_bundle
from edgeseg.cli.answers.export import describe_export, export_to_json
from edgeseg.cli.answers.inspect import inspect_anything
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.deploy.export import Exported
from edgeseg.errors import BundleError
from edgeseg.segformer.form import EXACT, FORMS, Form

CHANGES = "queries of all stages averaged 2x2, the head upsampled in a cascade"
EXACT_LINE = "exact: the network as it was trained (3.51 G multiply-adds)"
MERGED_LINE = f"merge-queries: {CHANGES} (2.50 G multiply-adds, 71 % of exact)"


def test_the_forms_of_a_bundle_are_described_each_once() -> None:
    manifest = open_bundle(find_demo_bundle()).manifest
    assert describe_forms(list_forms(manifest), manifest.model.macs) == [EXACT_LINE, MERGED_LINE]
    backwards = msgspec.structs.replace(manifest, variants=manifest.variants[::-1])
    assert list_forms(backwards) == list_forms(manifest)


def test_a_variant_without_a_form_has_the_multiply_adds_of_the_model() -> None:
    """As in every bundle of an edgeseg that knew no forms."""
    manifest = plain_manifest("old")
    text = re.sub(rb'\s*"form": null,', b"", encode_manifest(manifest))
    assert b'"form"' not in text
    old = decode_manifest(text, origin="old")
    assert find_form(old, old.variants[0]) == make_form_info(EXACT, old.model.macs)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("head", "spiral", "Invalid enum value 'spiral'"), ("queries", [7], "no stage 7")],
)
def test_a_form_that_nothing_can_describe_is_refused(
    field: str, value: object, reason: str
) -> None:
    manifest = plain_manifest("new")
    info = make_form_info(FORMS["merge-queries"], 1)
    (variant,) = manifest.variants
    formed = msgspec.structs.replace(
        manifest, variants=(msgspec.structs.replace(variant, form=info),)
    )
    content = json.loads(encode_manifest(formed))
    content["variants"][0]["form"][field] = value
    with pytest.raises(BundleError, match=f"{reason}.*; export the bundle again"):
        decode_manifest(json.dumps(content).encode(), origin="new")


def test_a_form_in_a_manifest_is_the_form_that_went_in() -> None:
    for form in (*FORMS.values(), Form(name="mine", queries=frozenset({2}), keys=frozenset({4}))):
        assert make_form_info(form, 1).form == form


def test_an_export_tells_what_ships_and_that_it_is_not_the_trained_network() -> None:
    bundle = open_bundle(find_demo_bundle())
    exported = Exported(bundle=bundle, tried=())
    told = "merge-queries+int8-linear has form merge-queries: not the network as it was trained"
    assert [line for line in describe_export(exported) if "form" in line] == [
        f"form {EXACT_LINE}", f"form {MERGED_LINE}", told,
    ]  # fmt: skip
    chosen = msgspec.structs.replace(bundle.manifest.chosen, variant="fp32")
    manifest = msgspec.structs.replace(bundle.manifest, chosen=chosen)
    exact = replace(exported, bundle=replace(bundle, manifest=manifest))
    assert told not in describe_export(exact)


def test_json_has_each_variants_form_changes_and_multiply_adds() -> None:
    bundle = open_bundle(find_demo_bundle())
    macs = bundle.manifest.model.macs
    merged = bundle.chosen.form
    assert merged is not None
    content = json.loads(json.dumps(export_to_json(Exported(bundle=bundle, tried=()))))
    assert [(v["form"], v["form_changes"], v["macs"]) for v in content["variants"]] == [
        ("exact", None, macs), ("merge-queries", CHANGES, merged.macs),
    ]  # fmt: skip
    _, inspected = inspect_anything(str(bundle.folder))
    assert inspected["forms"] == [
        {"name": "exact", "changes": None, "macs": macs},
        {"name": "merge-queries", "changes": CHANGES, "macs": merged.macs},
    ]
