"""Fixtures of the tests of sources."""

from __future__ import annotations

import pytest

from edgeseg.runtime.sources.files import video
from edgeseg.runtime.sources.live import stream


@pytest.fixture
def by_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and streams are read as where PyAV is absent; it still tells what containers say."""
    for module in (stream, video):
        monkeypatch.setattr(module, "import_pyav", lambda: None)


@pytest.fixture(params=["PyAV", "OpenCV"])
def reader(request: pytest.FixtureRequest) -> str:
    """What reads files and streams."""
    if request.param == "OpenCV":
        request.getfixturevalue("by_opencv")
    return str(request.param)
