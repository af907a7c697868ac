"""Says which forms of the network a bundle holds, the exact one among them."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.bundle.manifest import FormInfo, Manifest, VariantInfo
from edgeseg.segformer.form import EXACT, Form, describe_form

__all__ = ["describe_forms", "find_form", "list_forms", "make_form_info"]


def make_form_info(form: Form, macs: int) -> FormInfo:
    """Write a form as a manifest holds it; `macs` are its multiply-adds for a frame."""
    return FormInfo(
        name=form.name,
        queries=tuple(sorted(form.queries)),
        keys=tuple(sorted(form.keys)),
        head=form.head,
        macs=macs,
    )


def find_form(manifest: Manifest, variant: VariantInfo) -> FormInfo:
    """Find the form of a variant; the exact one has the multiply-adds of the model."""
    return variant.form or make_form_info(EXACT, manifest.model.macs)


def list_forms(manifest: Manifest) -> list[FormInfo]:
    """List the forms of all variants, each once: the exact one first, if any variant has it."""
    found = dict.fromkeys(find_form(manifest, variant) for variant in manifest.variants)
    return sorted(found, key=lambda one: not one.form.is_exact)


def describe_forms(forms: Sequence[FormInfo], exact_macs: int) -> list[str]:
    """Describe forms, a line each: name, changes, multiply-adds."""
    return [
        describe_form(one.name, one.form.changes, macs=one.macs, exact_macs=exact_macs)
        for one in forms
    ]
