"""What forms of the network cost in accuracy, on as many drawn scenes as the interval needs.

    python benchmarks/forms.py [--weights demo] [--form merge-queries FILE.json] [--scenes 600]
        [--bundle BUNDLE]

Each form in FP32 in ONNX Runtime, and the chosen variant of a bundle of the same weights, against
the exact network, on scenes of the demo's test drives and the drives after them: none of them was
trained or calibrated on. Printed are the drop of mIoU and its interval (95 %), the class that loses
most, and the share of the pixels with the same class.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from alternating import report
from profile_graph import write_artifact

from edgeseg.accuracy.counts import Masks, compare
from edgeseg.bundle.forms import find_form
from edgeseg.bundle.store import open_bundle
from edgeseg.cli.scripts import run_script
from edgeseg.demo import DEMO, draw_scene
from edgeseg.demo.splits import DEMO_SPLITS, SIDE
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.runtime.backends.backend import Backend, open_artifact, open_backend
from edgeseg.runtime.segmenter import segment_frame
from edgeseg.segformer.form import EXACT, Form, read_form
from edgeseg.segformer.macs import count_costs

ENGINE = "onnxruntime"


def main() -> None:
    """Print a JSON line for each form."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", default=DEMO)
    parser.add_argument("--form", nargs="+", default=["merge-queries"])
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--bundle", type=Path)
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.weights)
    forms = [read_form(form) for form in options.form]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        exact, *others = (
            open_form(checkpoint, form, folder / str(number), stack)
            for number, form in enumerate([EXACT, *forms])
        )
        subjects = [
            (form.name, count_macs(checkpoint, form), one)
            for form, one in zip(forms, others, strict=True)
        ]
        if options.bundle is not None:
            bundle = open_bundle(options.bundle)
            backend = stack.enter_context(closing(open_backend(bundle)))
            macs = find_form(bundle.manifest, bundle.chosen).macs
            subjects.append((bundle.chosen.name, macs, backend))
        for name, macs, backend in subjects:
            found = compare(
                segment_scenes(checkpoint, exact, backend, options.scenes),
                checkpoint.labels,
                ignore_index=checkpoint.labels.ignore_index,
            )
            report(
                "forms",
                variant=name,
                macs=macs,
                scenes=found.images,
                reference_miou=found.reference_miou,
                drop=found.drop,
                drop_95=[found.drop_low, found.drop_high],
                worst_class=found.worst_class,
                worst_class_drop=found.worst_class_drop,
                pixel_agreement=found.pixel_agreement,
            )


def count_macs(checkpoint: Checkpoint, form: Form) -> int:
    """Count the multiply-adds of the network in a form, at its own input size."""
    size = checkpoint.input
    return count_costs(checkpoint.spec, height=size.height, width=size.width, form=form).macs


def open_form(checkpoint: Checkpoint, form: Form, folder: Path, stack: ExitStack) -> Backend:
    """Open the FP32 artifact of a form until `stack` closes."""
    folder.mkdir()
    path = write_artifact(checkpoint, form, ENGINE, folder)
    return stack.enter_context(closing(open_artifact(ENGINE, path)))


def segment_scenes(
    checkpoint: Checkpoint, exact: Backend, form: Backend, scenes: int
) -> Iterator[Masks]:
    """Segment drawn scenes by both, one scene at a time."""
    for seed, frame in DEMO_SPLITS["test"].frames(scenes):
        scene = draw_scene(seed, frame, height=SIDE, width=SIDE)
        reference, candidate = (
            segment_frame(one, checkpoint.input, scene.image).mask for one in (exact, form)
        )
        yield Masks(truth=scene.mask, reference=reference, candidate=candidate)


if __name__ == "__main__":
    run_script(main)
