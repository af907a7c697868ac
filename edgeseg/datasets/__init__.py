"""Images with ground truth: drawn scenes, a folder, or an unpacked published data set."""

from __future__ import annotations

from edgeseg.data_rules import NO_RULES, Rules
from edgeseg.datasets.dataset import Dataset, Unpaired
from edgeseg.datasets.items import DrawnScene, FilePair, Item, Sample
from edgeseg.datasets.layouts import LAYOUT_NAMES, SPLIT_NAMES, SPLITS, recognize
from edgeseg.datasets.matching import Differences, match_classes
from edgeseg.datasets.opening import open_dataset
from edgeseg.datasets.reading import Matched, read_for_survey
from edgeseg.datasets.refusal import tell_notes_if_refused
from edgeseg.datasets.survey import Survey
from edgeseg.datasets.truth.id_map import IdMap
from edgeseg.datasets.truth.mask_file import MaskFile
from edgeseg.datasets.uncounted import Tally, explain_uncounted

__all__ = [
    "NO_RULES",
    "SPLITS",
    "SPLIT_NAMES",
    "Dataset",
    "Differences",
    "DrawnScene",
    "FilePair",
    "IdMap",
    "Item",
    "LAYOUT_NAMES",
    "MaskFile",
    "Matched",
    "Rules",
    "Sample",
    "Survey",
    "Tally",
    "Unpaired",
    "explain_uncounted",
    "match_classes",
    "open_dataset",
    "read_for_survey",
    "recognize",
    "tell_notes_if_refused",
]
