"""Says how the network is built: exact, or with merged tokens and a cheaper head.

A form is plain data beside the recipe. A recipe changes the precision of what is computed; a form
changes the function itself, so that every form but `exact` has to be judged on images.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edgeseg.errors import SpecError
from edgeseg.segformer.arch import STAGES
from edgeseg.text import explain, join_words

__all__ = [
    "AUTO",
    "EXACT",
    "FORMS",
    "Form",
    "HeadForm",
    "describe_form",
    "format_macs",
    "halve",
    "read_form",
]

_ALL_STAGES: Final = frozenset(range(1, STAGES + 1))
_FIELDS: Final = ("name", "queries", "keys", "head")
# `--form auto` lets the search choose.
AUTO: Final = "auto"
_UNCHANGED: Final = "the network as it was trained"
_EXAMPLE: Final = '{"queries": [1, 2], "keys": [2], "head": "cascade"}'


class HeadForm(enum.Enum):
    """How the four stages' shares of the head come to one size, and to which."""

    DIRECT = "direct"
    """Each share is upsampled at once, as in every published SegFormer."""

    CASCADE = "cascade"
    """A share is upsampled to the next finer stage's size and added there, stage by stage."""

    STRIDE_8 = "stride-8"
    """As a cascade, which ends at the second stage's size: the first stage's features are averaged
    2x2 to it, and the logits are upsampled at the end."""


_HEADS: Final[Mapping[HeadForm, str]] = MappingProxyType(
    {
        HeadForm.CASCADE: "the head upsampled in a cascade",
        HeadForm.STRIDE_8: "the head computed at stride 8",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A name, and what differs from the trained network.

    `queries` are the stages, 1 to 4, whose queries are averaged over 2x2 neighbors; the attention's
    output is spread over the four again. `keys` are the stages whose keys and values are averaged
    likewise, after the stage's own reduction.
    """

    name: str
    queries: frozenset[int] = frozenset()
    keys: frozenset[int] = frozenset()
    head: HeadForm = HeadForm.DIRECT

    def __post_init__(self) -> None:
        unknown = sorted((self.queries | self.keys) - _ALL_STAGES)
        if unknown:
            raise SpecError(
                f"form {self.name}: a network has the stages 1 to {STAGES}, and no stage "
                f"{unknown[0]}; name others"
            )

    @property
    def is_exact(self) -> bool:
        """Whether the network computes what it was trained to compute."""
        return not self.queries and not self.keys and self.head is HeadForm.DIRECT

    @property
    def digest(self) -> str:
        """A short hash of what the form computes, whatever its name."""
        text = f"{sorted(self.queries)} {sorted(self.keys)} {self.head.value}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def changes(self) -> str | None:
        """What the form changes, in one phrase for people; None for the exact network."""
        parts = [
            f"{what} of {_list_stages(stages)} averaged 2x2"
            for what, stages in (("queries", self.queries), ("keys and values", self.keys))
            if stages
        ]
        parts += [_HEADS[self.head]] if self.head in _HEADS else []
        return ", ".join(parts) or None

    def describe(self) -> str:
        """Say in one phrase, for people, what the form changes."""
        return self.changes or _UNCHANGED


EXACT: Final = Form(name="exact")

# From careful to bold; each name says what is merged, and all merged forms have the cascade.
# Merged queries and the cascade cost next to nothing on every network that was measured. Merged
# keys and values are free on some networks and not on others: less in stage 2, more in stage 1. In
# stage 3 they cost 0.9 points on the 86 images and nothing on CamVid's test split, so no named form
# merges them there. In mIoU without any training, on 40 of the demo's scenes and on 86 images of
# CamVid:
#
#                            demo     CamVid
#     exact                  86.74    45.19
#     merge-queries          86.71    45.11 (without the cascade)
#     merge-queries-keys2    86.56
#     merge-queries-keys12   86.26    45.19
FORMS: Final[Mapping[str, Form]] = MappingProxyType(
    {
        form.name: form
        for form in (
            EXACT,
            Form(name="merge-queries", queries=_ALL_STAGES, head=HeadForm.CASCADE),
            Form(
                name="merge-queries-keys2",
                queries=_ALL_STAGES,
                keys=frozenset({2}),
                head=HeadForm.CASCADE,
            ),
            Form(
                name="merge-queries-keys12",
                queries=_ALL_STAGES,
                keys=frozenset({1, 2}),
                head=HeadForm.CASCADE,
            ),
        )
    }
)


def describe_form(
    name: str, changes: str | None, *, macs: int | None = None, exact_macs: int | None = None
) -> str:
    """Describe a form in one line: its name, its `changes`, its cost.

    `macs` are its multiply-adds for a frame, and `exact_macs` those of the exact network. Without
    `macs` the line leaves out the cost, without `exact_macs` the share.
    """
    told = f"{name}: {changes or _UNCHANGED}"
    if macs is None:
        return told
    share = f", {100 * macs / exact_macs:.0f} % of exact" if changes and exact_macs else ""
    return f"{told} ({format_macs(macs)}{share})"


def format_macs(macs: int) -> str:
    """Format multiply-adds in G, with their unit."""
    return f"{macs / 1e9:.2f} G multiply-adds"


def halve(size: tuple[int, int]) -> tuple[int, int]:
    """Halve height and width, in positions; an odd side rounds up."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def read_form(name_or_path: str) -> Form:
    """Read one of the named forms, or a form from a JSON file.

        {"name": "mine", "queries": [1, 2], "keys": [2], "head": "cascade"}

    Every field may be left out: the name is then the file's, and the rest is exact.

    Raises:
        SpecError: no such name or file, a field or value that no form has, or the name of another
            form.
    """
    if name_or_path in FORMS:
        return FORMS[name_or_path]
    if name_or_path == AUTO:
        raise SpecError(f"form {AUTO} is for a search; here name one of {', '.join(FORMS)}")
    path = Path(name_or_path)
    content = _read_json(path)
    unknown = [key for key in content if key not in _FIELDS]
    if unknown:
        raise SpecError(
            f"{path}: a form has no {unknown[0]!r}; leave it out, or write one of "
            f"{', '.join(_FIELDS)}"
        )
    return Form(
        name=_check_name(content.get("name", path.stem), path),
        queries=_check_stages(content, "queries", path),
        keys=_check_stages(content, "keys", path),
        head=_check_head(content.get("head", HeadForm.DIRECT.value), path),
    )


def _read_json(path: Path) -> dict[str, object]:
    names = ", ".join((EXACT.name, AUTO, *(name for name in FORMS if name != EXACT.name)))
    try:
        text = path.read_text("utf-8")
        content = json.loads(text or "null")
    except IsADirectoryError:
        raise SpecError(
            f"form {path} is a folder; name a JSON file in it, or one of {names}"
        ) from None
    except OSError as error:
        raise SpecError(
            f"form {path} is neither a file ({explain(error)}) nor one of {names}; choose one of "
            f"them, or write a file such as {_EXAMPLE}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise SpecError(
            f"form {path} is not JSON ({error}); mend the file, for example to {_EXAMPLE}"
        ) from None
    if not isinstance(content, dict):
        what = "is no JSON object" if text else "is empty"
        raise SpecError(f"form {path} {what}; write for example {_EXAMPLE}")
    return content


def _check_name(given: object, path: Path) -> str:
    """Check a form's name, which variants and reports will show."""
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise SpecError(f"{path}: the form's name is {given!r}; give it one that prints")
    if {"+", "/"} & set(given):
        raise SpecError(f"{path}: the form's name {given!r} has + or /; leave these out")
    if given.strip().casefold() in {*FORMS, AUTO}:
        raise SpecError(f"{path}: {given} means another form already; give this one another name")
    return given.strip()


def _check_stages(content: Mapping[str, object], field: str, path: Path) -> frozenset[int]:
    given = content.get(field, [])
    if not isinstance(given, list) or not all(type(stage) is int for stage in given):
        raise SpecError(f"{path}: `{field}` is no list of stages; write it as [1, 2]")
    unknown = [stage for stage in given if stage not in _ALL_STAGES]
    if unknown:
        raise SpecError(f"{path}: `{field}` names stage {unknown[0]}; name stages 1 to {STAGES}")
    return frozenset(given)


def _check_head(given: object, path: Path) -> HeadForm:
    kinds = {kind.value: kind for kind in HeadForm}
    if not isinstance(given, str) or given not in kinds:
        raise SpecError(f"{path}: `head` is {given!r}; choose {join_words(list(kinds), 'or')}")
    return kinds[given]


def _list_stages(stages: frozenset[int]) -> str:
    if stages == _ALL_STAGES:
        return "all stages"
    names = [str(stage) for stage in sorted(stages)]
    if len(names) == 1:
        return f"stage {names[0]}"
    return f"stages {', '.join(names[:-1])} and {names[-1]}"
