"""What MkDocs cannot do by itself: pages that are made from the code, and the list of decisions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

sys.path.insert(0, str(Path(__file__).parent))

from command_reference import write_command_reference  # its folder was just made known
from report_reference import write_report_reference

_PAGES: Final = {
    "reference/command-line.md": write_command_reference,
    "reference/report.md": write_report_reference,
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision into the navigation."""
    assert config.nav is not None, "mkdocs.yml has a navigation"
    decisions = sorted(path.name for path in Path(config.docs_dir, "decisions").glob("0*.md"))
    section = next(entry for entry in config.nav if "Decisions" in entry)
    section["Decisions"] += [f"decisions/{name}" for name in decisions]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    for path, write in _PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files
