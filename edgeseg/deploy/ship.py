"""The variants that a bundle ends up with: each is proved as the file that ships.

It is measured once more on the images that decide, and on the golden frames. One whose engine fails
there is out by name, and what is left is decided between anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeseg.accuracy.gates import judge_accuracy
from edgeseg.accuracy.limits import Limits
from edgeseg.accuracy.metrics import pixel_agreement
from edgeseg.bundle.manifest import Golden, VariantInfo
from edgeseg.deploy.candidates import Decide
from edgeseg.deploy.pack import ship
from edgeseg.deploy.select import Variants
from edgeseg.errors import BackendError, GateMissedError
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import Progress, begin
from edgeseg.quantize.meter import Meter
from edgeseg.quantize.targets.maker import open_to_prove
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.segformer.arch import compute_logits_shape
from edgeseg.spec import InputSpec
from edgeseg.targets import find_target

__all__ = ["Proof", "Shipped", "ship_what_works"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a file has to prove in the staging folder.

    `expected` are the framework's own masks of the golden `frames`; `gate_half` is None where
    nothing was measured.
    """

    staging: Path
    artifact: Path
    target: str
    spec: InputSpec
    classes: int
    frames: Sequence[Bgr]
    expected: Sequence[ClassMap]
    gate_half: Meter | None
    limits: Limits
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What was decided at last, the variants as they lie in the folder, and the golden frames."""

    found: Variants
    variants: tuple[VariantInfo, ...]
    golden: tuple[Golden, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proved:
    """A variant with the figures of its file, and its agreement with each golden frame in %."""

    variant: VariantInfo
    agreement: tuple[float, ...]


def ship_what_works(proof: Proof, decide: Decide) -> Shipped:
    """Put the files of what is decided into the staging folder, and prove each.

    Raises:
        GateMissedError: nothing that works passes, or a file does not hold what the search found.
        BackendError: FP32 alone was to ship, and fails.
    """
    out: dict[str, str] = {}
    known: dict[str, _Proved] = {}
    while True:
        found = decide(out)
        proved = []
        lost = False
        for variant in _put(proof, found):
            if variant.name in out:
                continue
            try:
                one = known.get(variant.name) or _proved(proof, variant)
            except BackendError as error:
                proof.progress.say(f"{variant.name} is out: {error}")
                out[variant.name] = f"failed as it ships: {error}"
                lost = lost or variant.search is not None or proof.gate_half is None
                continue
            if one is not None:
                known[variant.name] = one
                proved.append(one)
        if not lost:
            _remove_unlisted(proof, [one.variant for one in proved])
            return _shipped(found, proved, frames=len(proof.frames))


def _put(proof: Proof, found: Variants) -> list[VariantInfo]:
    """Write the files of all that ships into the staging folder."""
    suffixes = find_target(proof.target).suffixes
    return [ship(proof.staging, proof.artifact, t, suffixes=suffixes) for t in found.shipped]


def _proved(proof: Proof, variant: VariantInfo) -> _Proved | None:
    """None for a further form of a variant that misses where the variant itself did not.

    Raises:
        BackendError: the engine fails.
        GateMissedError: the file of a variant that passed misses.
    """
    shape = compute_logits_shape(proof.classes, proof.spec)
    path = proof.staging / variant.file
    engine = open_to_prove(proof.target, path, variant.compute, logits_shape=shape)
    with closing(engine) as backend:
        if proof.gate_half is not None:
            images = len(proof.gate_half.images)
            step = begin(proof.progress, f"confirming {variant.name} as it ships", images)
            measured = proof.gate_half.measure(backend, step=step)
            missed = judge_accuracy(measured, proof.limits).misses
            if missed and variant.search is None:
                return None
            if missed:
                raise GateMissedError(
                    f"{variant.name} passed in the search, but the file to ship does not: "
                    f"{', '.join(f'{g.name} {g.value:.3f} (limit {g.limit:.3f})' for g in missed)};"
                    f" export again, and if it stays so, report a bug"
                )
            variant = msgspec.structs.replace(variant, gate=measured)
        agreement = tuple(
            pixel_agreement(mask, segment_frame(backend, proof.spec, frame).mask)
            for frame, mask in zip(proof.frames, proof.expected, strict=True)
        )
    return _Proved(variant=variant, agreement=agreement)


def _shipped(found: Variants, proved: Sequence[_Proved], *, frames: int) -> Shipped:
    def agreement(index: int) -> Mapping[str, float]:
        return {one.variant.name: one.agreement[index] for one in proved}

    return Shipped(
        found=found,
        variants=tuple(one.variant for one in proved),
        golden=tuple(
            Golden(
                frame=f"golden/frame_{index}.png",
                mask=f"golden/mask_{index}.png",
                agreement=dict(agreement(index)),
            )
            for index in range(frames)
        ),
    )


def _remove_unlisted(proof: Proof, variants: Sequence[VariantInfo]) -> None:
    """Remove models that no variant is of: what is out, and what was the reference only."""
    listed = {Path(variant.file).stem for variant in variants}
    suffixes = find_target(proof.target).suffixes
    for path in proof.staging.iterdir():
        if path.suffix in suffixes and path.stem not in listed:
            path.unlink()
