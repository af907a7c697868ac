"""Draws pictures of the images that lost most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgeseg.errors import DatasetError, SourceError
from edgeseg.progress import SILENT, Progress, track
from edgeseg.reports.draw.pictures import ImagePictures, draw_pictures
from edgeseg.reports.report import Report
from edgeseg.verification.findings import rank_hardest_first
from edgeseg.verification.measuring import Measurement, Pair

__all__ = ["draw_hardest"]

COUNT: Final = 10


def draw_hardest(
    pair: Pair, found: Measurement, report: Report, *, progress: Progress = SILENT
) -> Iterator[ImagePictures]:
    """Read and segment the `COUNT` hardest images once more (none was kept), and draw them."""
    places = rank_hardest_first(found.counts, report.per_image)[:COUNT]
    for place in track(progress, "drawing the hardest images", places):
        result = report.per_image[place]
        try:
            sample = found.share.measured[place].item.read()
        except (DatasetError, SourceError):
            continue  # the file has gone; its row still tells what it lost
        truth, expected, own = pair.make_masks(sample.image, sample.mask)
        assert truth is not None, "a sample has ground truth"
        yield draw_pictures(
            result.name,
            image=sample.image,
            truth=truth,
            reference=expected,
            candidate=own,
            labels=pair.candidate.labels,
            lost=result.lost,
            agreement=result.agreement,
        )
        # A large image is not kept while the next one is read.
        del sample, truth, expected, own
