"""segmentation_models_pytorch as an oracle, in an environment that one run of tests makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_once import made_once
from smp_program import DONE

from edgeseg.pixels import Bgr, ClassMap

__all__ = ["FAILURE", "Smp", "find_smp", "install_smp"]

FAILURE = "failure.txt"  # says why the package could not be installed

_PROGRAM = Path(__file__).with_name("smp_program.py")
_PACKAGES = ("segmentation-models-pytorch", "timm", "torchvision")


class Smp:
    """The package, and the folder that holds it; everything else comes from this environment.

    One process answers all questions, from the first one until `close`: its imports take seconds.
    """

    def __init__(self, packages: Path) -> None:
        self.packages = packages
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()

    def masks(self, folder: Path, *frames: Bgr, height: int, width: int) -> list[ClassMap]:
        """What the package says of frames, which it resizes to `height` x `width` first."""
        paths = [folder.with_name(f"{index}.npy") for index in range(len(frames))]
        for path, frame in zip(paths, frames, strict=True):
            np.save(path, frame)
        self._run("segment", folder, height, width, *paths)
        return [np.load(f"{path}.mask.npy") for path in paths]

    def save_random(self, folder: Path, encoder: str) -> Path:
        """A model of the package with random weights, as the package saves it."""
        self._run("make", folder, encoder)
        return folder

    def _run(self, *words: object) -> None:
        self._process = self._process or self._start()
        print(*words, sep="\t", file=self._process.stdin, flush=True)
        assert DONE in iter(self._process.stdout.readline, ""), "it failed; stderr says why"

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(_PROGRAM)],
            env=os.environ | {"PYTHONPATH": str(self.packages), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def find_smp(common: Path) -> Smp:
    """Install the package once in a run of tests; skip where no package index can be reached."""
    folder = made_once(common / "smp", install_smp)
    failure = folder / FAILURE
    if failure.exists():
        pytest.skip(f"needs segmentation_models_pytorch: {failure.read_text()}")
    return Smp(folder)


def install_smp(folder: Path) -> None:
    """Install without what the packages need, which is here; leave the reason where it fails."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*command, *_PACKAGES], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        (folder / FAILURE).write_text(reason)
