"""Runs a checkpoint in Hugging Face's transformers: its loader, network and image processor."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from edgeseg.errors import CheckpointError
from edgeseg.export.contents import read_contents
from edgeseg.export.facts import COMMAND_LINE
from edgeseg.export.locating import find_weights
from edgeseg.export.preprocessing import FILTERS
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.progress import ignore
from edgeseg.spec import Aspect, ChannelOrder, InputSpec

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["open_transformers", "resizes_in_transformers"]

_WEIGHTS: Final = "model.safetensors"
_OWN_NAMES: Final = ("model.safetensors", "pytorch_model.bin")  # and the names of their indexes
_JSON_FILES: Final = ("config.json", "preprocessor_config.json")


def resizes_in_transformers(spec: InputSpec) -> bool:
    """Tell whether transformers' image processor has the resizing rule."""
    return spec.resize in FILTERS.values() and spec.aspect is Aspect.SQUASH


def open_transformers(source: str, checkpoint: Checkpoint) -> Callable[[Bgr], ClassMap]:
    """Load the weights by transformers' own loader, and its processor from its own files.

    transformers opens a folder that has its own form as it lies. Of any other it gets the same
    tensors, without what is wrapped around them.

    Raises:
        CheckpointError: transformers does not take the weights or the two files beside them.
    """
    import torch
    from torch.nn import functional

    with tempfile.TemporaryDirectory() as written, _hush_transformers():
        model, processor = _load(_prepare_folder(source, checkpoint, Path(written)), source)
    model.eval()
    options = _list_options(checkpoint)
    turn = checkpoint.channel_order is ChannelOrder.RGB
    channels = checkpoint.spec.channels

    @torch.inference_mode()
    def segment(frame: Bgr) -> ClassMap:
        image = np.ascontiguousarray((frame[:, :, ::-1] if turn else frame)[:, :, :channels])
        outputs = model(**processor(images=image, return_tensors="pt", **options))
        if checkpoint.threshold is None:
            (mask,) = processor.post_process_semantic_segmentation(
                outputs, target_sizes=[frame.shape[:2]]
            )
        else:  # of which transformers' argmax knows one class
            full = functional.interpolate(outputs.logits, frame.shape[:2], mode="bilinear")
            mask = full[0, 0].sigmoid() > checkpoint.threshold
        return cast("ClassMap", mask.numpy().astype(np.uint16))

    return segment


def _prepare_folder(source: str, checkpoint: Checkpoint, written: Path) -> Path:
    """Find a folder that transformers can open; write one in `written` where there is none."""
    from safetensors.torch import save_file

    weights, folder = find_weights(source, say=ignore)
    contents = read_contents(weights, key=checkpoint.weights_key)
    own_form = weights.name.startswith(_OWN_NAMES) and not contents.notes
    if own_form and (folder / "config.json").is_file():
        return folder
    tensors = {name: value.contiguous() for name, value in contents.state.items()}
    save_file(tensors, written / _WEIGHTS)
    for name in _JSON_FILES:
        if (folder / name).is_file():
            (written / name).write_bytes((folder / name).read_bytes())
    if not (written / "config.json").exists():
        (written / "config.json").write_text(json.dumps(_describe(checkpoint)))
    return written


def _load(folder: Path, source: str) -> tuple[Any, Any]:
    """Load the network and the image processor; refuse what transformers would invent."""
    import torch
    from transformers import SegformerForSemanticSegmentation

    try:
        loaded: Any = SegformerForSemanticSegmentation.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, local_files_only=True
        )
        processor = _load_processor(folder)
    except Exception as error:  # transformers raises many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{source}: transformers does not take it: {reason}") from None
    model, found = loaded
    wrong = sorted({str(key) for keys in found.values() for key in keys})
    if wrong:
        raise CheckpointError(
            f"{source}: transformers does not take {', '.join(wrong[:5])} from it; check that "
            f"config.json belongs to the weights"
        )
    return model, processor


def _load_processor(folder: Path) -> Any:  # noqa: ANN401  # transformers has no types
    """Load the image processor of a folder; transformers' default one where it has none.

    It resizes by Pillow. transformers 5 has another, which resizes by torchvision if that is
    installed; on a GPU or an Arm CPU its floats alone change 0.4 % of a mask (docs/checkpoints.md).
    """
    import transformers

    kind: Any = getattr(transformers, "SegformerImageProcessorPil", None)
    kind = kind or transformers.SegformerImageProcessor
    if not (folder / "preprocessor_config.json").exists():
        return kind()
    processor = kind.from_pretrained(folder, local_files_only=True)
    for statistics in ("image_mean", "image_std"):  # it takes a number, and no list of one
        values = getattr(processor, statistics)
        if isinstance(values, (list, tuple)) and len(values) == 1:
            setattr(processor, statistics, values[0])
    return processor


def _list_options(checkpoint: Checkpoint) -> dict[str, Any]:
    """List what the user said of the input in place of the checkpoint's files."""
    spec, turned = checkpoint.input, checkpoint.channel_order is ChannelOrder.BGR
    given = {fact for fact, by in checkpoint.input_sources.items() if by == COMMAND_LINE}
    size = {"height": spec.height, "width": spec.width}
    options: dict[str, Any] = {"size": size, "do_resize": True}  # perhaps with a size of the user's
    if given & {"mean", "std", "channel_order"}:
        options |= {
            "image_mean": (spec.mean[::-1] if turned else spec.mean)[: checkpoint.spec.channels],
            "image_std": (spec.std[::-1] if turned else spec.std)[: checkpoint.spec.channels],
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
        }
    if "resize" in given:
        options["resample"] = next(code for code, rule in FILTERS.items() if rule is spec.resize)
    return options


@contextmanager
def _hush_transformers() -> Iterator[None]:
    """Keep transformers' warnings and bars off the screen: the check has a line of its own."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before[0])
        if before[1]:
            logging.enable_progress_bar()


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Describe the network where no config.json does: what the weights show, else the defaults."""
    encoder = checkpoint.spec.encoder
    return {
        "model_type": "segformer",
        "hidden_sizes": encoder.widths,
        "depths": encoder.depths,
        "decoder_hidden_size": checkpoint.spec.decoder_width,
        "num_channels": checkpoint.spec.channels,
        "num_labels": checkpoint.spec.classes if checkpoint.threshold is None else 1,
    }
