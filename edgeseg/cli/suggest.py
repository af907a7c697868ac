"""Finds what was most likely meant by a word that `edgeseg` does not know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from edgeseg.cli.parameters import Command
from edgeseg.targets import TARGETS
from edgeseg.text import find_alike

__all__ = ["find_command", "find_parameter", "find_value"]


def _index_by_synonym(table: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    pairs = ((synonym, tuple(meant.split())) for words, meant in table for synonym in words.split())
    return MappingProxyType(dict(pairs))


_COMMANDS: Final = _index_by_synonym(
    (
        ("infer predict segment detect demo stream play live serve", "run"),
        ("convert quantize optimize compress onnx", "export"),
        ("test eval evaluate validate val check accuracy compare", "verify"),
        ("benchmark time profile speed measure", "bench"),
        ("compile engine tune", "build"),
        ("calibration collect record gather capture", "calibrate"),
        ("info show describe summary list", "inspect"),
        ("cameras camera devices webcams list-cameras", "sources"),
        ("diagnose env system status version-info", "doctor"),
        ("grid matrix search", "sweep"),
    )
)
# For each word on the left, the first on the right that the command has is suggested.
_PARAMETERS: Final = _index_by_synonym(
    (
        ("--input --in -i --file --folder --path", "--source SOURCE --weights --data BUNDLE WHAT"),
        ("--video --video-file --url --uri --stream --rtsp -s", "--source SOURCE --data"),
        ("--image --img --images", "--source --data --calibration"),
        ("--source", "SOURCE --data --weights BUNDLE WHAT"),
        ("--model --bundle --network --pretrained -m", "--weights BUNDLE WHAT"),
        ("--weights --weight --checkpoint --ckpt --onnx -w", "--weights BUNDLE WHAT"),
        ("--engine --backend --runtime --provider --platform --format", "--target"),
        ("--device --cam --webcam -c", "--camera --target"),
        ("--output --out --out-dir --output-dir --dest -o", "--output --save --report"),
        ("--write --save-video --output-video --overlay --record", "--save"),
        ("--mask --save-masks --mask-dir --masks-dir", "--masks"),
        ("--dataset --dataset-path --data-dir --ground-truth --gt -d", "--data SOURCE"),
        ("--calib --calibration-data --calib-data --calibration-set", "--calibration"),
        ("--imgsz --img-size --input-size --resolution --shape --size", "--size --camera-size"),
        ("--height --width", "--size --camera-size"),
        ("--quantize --quant --quantization", "--int8 --precision"),
        ("--half --float16", "--fp16"),
        ("--dtype --type", "--precision"),
        ("--classes --names --class-names", "--labels"),
        ("-n --count --num --number --limit", "--frames --images --calibration-images"),
        ("--num-frames --max-frames --iterations --iters --runs --repeat", "--frames"),
        ("--num-images --max-images", "--images --calibration-images"),
        ("--duration --time --timeout --minutes", "--seconds --budget"),
        ("--display --window --view --gui", "--show"),
        ("--headless --no-display --no-window --no-gui", "--no-show"),
        ("--serve --web --http --port --host --address", "--preview"),
        ("--token --password", "--preview-token"),
        ("--fps", "--camera-fps"),
        ("--retries --retry --reconnect", "--max-retries"),
        ("--workers --jobs -j --cpus --num-threads", "--threads"),
        ("--cluster --scheduler", "--dask"),
        ("--tolerance --max-loss --threshold", "--max-drop --min-score"),
        ("--confidence --conf --min-confidence --min-conf --conf-thres", "--min-score"),
        ("--probabilities --probs --uncertainty --softmax", "--scores"),
        ("--publish --push --rtmp --broadcast --forward", "--restream"),
        ("--only --keep --filter --class", "--classes"),
        ("--html --junit --report-dir", "--report"),
        ("--compare --against --teacher", "--reference"),
        ("-h -? --usage", "--help"),
        ("-v -V --ver", "--version"),
    )
)
_VALUES: Final = _index_by_synonym(
    (
        *((row.synonyms, row.name) for row in TARGETS.values()),
        ("float float32 f32 full single 32", "fp32"),
        ("half float16 f16 16 bf16 bfloat16", "fp16"),
        ("i8 8 8bit quantized w8a8 uint8", "int8"),
        ("best fastest default", "auto"),
        ("whole single-scale", "ss"),
        ("sliding window", "slide"),
        ("ms multi-scale multiscale flip", "ms-flip"),
    )
)


def find_command(word: str, known: Collection[str]) -> str | None:
    """Find the command that was most likely meant; None if no command is like the word."""
    return _find_meant(word.lower().lstrip("-"), _COMMANDS, known)


def find_parameter(spelling: str, command: Command, *, guess: bool = True) -> str | None:
    """Find what was most likely meant: an option's spelling, or an argument's name, or None.

    Without `guess`, only synonyms count, not words that look alike.
    """
    known = (*command.options, *(argument.name for argument in command.arguments))
    word = spelling if len(spelling) == 2 else f"--{spelling.strip('-').replace('_', '-').lower()}"
    return _find_meant(word, _PARAMETERS, known, guess=guess)


def find_value(word: str, choices: Collection[str]) -> str | None:
    """Find the choice that was most likely meant, or None; `mit_b0` and `B0` give `b0`."""
    word = word.lower()
    ends = (choice for choice in choices if word.endswith(choice))
    return next(ends, None) or _find_meant(word, _VALUES, choices)


def _find_meant(
    word: str,
    synonyms: Mapping[str, tuple[str, ...]],
    known: Collection[str],
    *,
    guess: bool = True,
) -> str | None:
    if word in known:
        return word
    synonym = next((meant for meant in synonyms.get(word, ()) if meant in known), None)
    return synonym or (find_alike(word, known) if guess else None)
