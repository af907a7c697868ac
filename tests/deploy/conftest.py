"""What the tests of an export share."""

from __future__ import annotations

from pathlib import Path

import pytest
from search_limits import make_request

from edgeseg.deploy.request import ExportRequest


@pytest.fixture
def request_(
    checkpoint_folder: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ExportRequest:
    """A small INT8 export that remembers nothing of those before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make_request(checkpoint_folder, street, tmp_path / "bundle")
