"""A source's name may be no text; what is told of it to others is."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

import edgeseg as library
from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene

if TYPE_CHECKING:
    import pytest


def test_a_name_that_is_no_text_is_told_to_the_service_manager(
    seeded_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / os.fsdecode(b"caf\xe9\n.png")
    _, encoded = cv2.imencode(".png", draw_scene(0, 0, height=48, width=64).image)
    source.write_bytes(encoded.tobytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("notify")
        result = library.run(seeded_bundle.folder, source=str(source))
        told = manager.recv(4096).decode()
    assert result.summary.frames == 1
    status = f"{seeded_bundle.manifest.name}, source {tmp_path}/caf\ufffd .png"
    assert told == f"READY=1\nSTATUS={status}"
