"""What measuring in bad light shares, and tells: engines that are opened once, and the light."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from edgeseg.errors import BackendError
from edgeseg.progress import Progress, begin
from edgeseg.quantize.corrupted import _name_light, _share


@pytest.mark.parametrize("fails", [False, True])
def test_each_engine_is_opened_once(fails: bool) -> None:
    calls: list[str] = []

    @contextmanager
    def open_engine(path: str, compute: str) -> Iterator[str]:
        calls.append(f"open {path} {compute}")
        try:
            yield path
        finally:
            calls.append(f"close {path} {compute}")

    with suppress(BackendError), ExitStack() as stack:
        share = _share(open_engine, stack)  # type: ignore[arg-type]  # a name in place of an engine
        for path in ("a", "b", "a"):
            with share(path, "f32") as opened:
                assert opened == path
        assert calls == ["open a f32", "open b f32"]
        if fails:
            raise BackendError("the engine broke")
    assert calls == ["open a f32", "open b f32", "close b f32", "close a f32"]


def test_the_light_in_which_images_are_measured_is_told() -> None:
    told: list[tuple[object, ...]] = []
    lines: list[str] = []
    heard = Progress(phase=lambda *phase: told.append(phase), say=lines.append)
    progress = _name_light(heard, "contrast 1")
    begin(progress, "measuring int8-full", 50)()
    progress.say("a line")
    assert told == [("measuring int8-full under contrast 1", n, 50, "image") for n in (0, 1)]
    assert lines == ["a line"]
