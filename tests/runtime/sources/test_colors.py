"""Clips whose colors are not those of training images are mentioned, in one line and once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from clips import write_clip

from edgeseg.bundle.store import Bundle
from edgeseg.runtime.sources import open_source
from edgeseg.runtime.sources.options import Retry

QUIET = {"x265-params": "log-level=none"}
# By ITU-T H.273: transfer 16 is PQ, 18 HLG; primaries and matrix 9 are BT.2020's, 1 are BT.709's.
PQ = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
HLG = {"color_trc": 18, "color_primaries": 9, "colorspace": 9}
WIDE = {"color_trc": 14, "color_primaries": 9, "colorspace": 9}
BT709 = {"color_trc": 1, "color_primaries": 1, "colorspace": 1}


def clip(folder: Path, bits: int, color: dict[str, int]) -> Path:
    pix_fmt = "yuv420p" if bits == 8 else "yuv420p10le"
    path = folder / "clip.mp4"
    return write_clip(path, [0, 0.1, 0.2], codec="libx265", pix_fmt=pix_fmt, options=QUIET, **color)


def said_of(path: Path) -> list[str]:
    said: list[str] = []
    with open_source(str(path), retry=Retry(say=said.append)) as source:
        assert len(list(source.frames)) == 3
    return said


@pytest.mark.parametrize(
    ("color", "kind"), [(PQ, "PQ"), (HLG, "HLG"), (WIDE, "BT.2020")], ids=["PQ", "HLG", "wide"]
)
def test_hdr_is_mentioned(tmp_path: Path, color: dict[str, int], kind: str) -> None:
    (line,) = said_of(clip(tmp_path, 10, color))
    assert f"({kind})" in line
    assert "convert it to SDR" in line


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("color", [{}, BT709], ids=["nothing said", "BT.709"])
def test_ordinary_colors_are_not(tmp_path: Path, bits: int, color: dict[str, int]) -> None:
    assert said_of(clip(tmp_path, bits, color)) == []


@pytest.mark.parametrize(("bits", "lines"), [(8, 0), (10, 1)])
def test_without_pyav_only_the_bits_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, lines: int
) -> None:
    path = clip(tmp_path, bits, HLG)
    monkeypatch.setitem(sys.modules, "av", None)
    said = said_of(path)
    assert len(said) == lines
    assert all("more than 8 bits a color; if it is HDR" in line for line in said)


def test_a_run_mentions_it_once(edgeseg, seeded_bundle: Bundle, tmp_path: Path) -> None:
    outcome = edgeseg("run", seeded_bundle.folder, "--source", clip(tmp_path, 10, PQ))
    assert outcome.status == 0
    assert outcome.err.count("(PQ)") == 1
