"""Passwords with signs that have a meaning in addresses: they connect, and are shown nowhere."""

from __future__ import annotations

import itertools

import pytest
from rtsp import RtspServer

from edgeseg.errors import SourceError
from edgeseg.runtime.sources import open_source


@pytest.mark.parametrize("password", ["p@ss/wo#rd", "a:b?c%d&e=f"])
def test_a_camera_that_asks_for_a_password(has_rtsp: None, password: str) -> None:
    with RtspServer(user=("admin", password)) as server:
        url = server.url.replace("://", f"://admin:{password}@")
        with open_source(url) as source:
            assert len(list(itertools.islice(source.frames, 2))) == 2
        assert source.name == server.url.replace("://", "://***@")
        with (
            pytest.raises(SourceError, match="cannot be opened") as refused,
            open_source(url.replace(password, f"not{password}")),
        ):
            pass
    assert password not in str(refused.value)
