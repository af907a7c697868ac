"""Answers the preview's requests, path by path."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Final

from edgeseg.accuracy.metrics import class_shares
from edgeseg.labels import to_hex
from edgeseg.runtime.preview.board import Board
from edgeseg.runtime.preview.metrics import to_prometheus
from edgeseg.runtime.preview.motion import KIND, MAX_VIEWERS, Motion, Viewers
from edgeseg.runtime.preview.newest import Encoder, Newest
from edgeseg.runtime.preview.picture import Look, parse_look, to_jpeg

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from edgeseg.runtime.about import About

__all__ = ["Pages"]

# Without a mask for this long a run counts as not healthy.
_HEALTHY_S: Final = 10.0
_FILES: Final = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}


class Pages:
    """The preview's pages; they belong to one event loop."""

    def __init__(self, board: Board, about: About, newest: Newest, encoder: Encoder) -> None:
        self._board = board
        self._labels = about.labels
        self._about = {
            "bundle": about.bundle,
            "engine": about.engine,
            "precision": about.precision,
            "source": about.source,
        }
        self._newest = newest
        self._encoder = encoder
        self._viewers = Viewers()
        self._begun = time.monotonic()

    def make_app(self) -> Starlette:
        """Make the application with all paths."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        answers = {
            "/info": self._info,
            "/stats": self._stats,
            "/stream": self._stream,
            "/snapshot": self._snapshot,
            "/healthz": self._healthz,
            "/metrics": self._metrics,
            **dict.fromkeys(_FILES, _read_file),
        }
        return Starlette(routes=[Route(path, answer) for path, answer in answers.items()])

    async def _info(self, _request: Request) -> Response:
        from starlette.responses import JSONResponse

        colors = map(to_hex, self._labels.palette)
        classes = [
            {"name": name, "colour": color}
            for name, color in zip(self._labels.classes, colors, strict=True)
        ]
        return JSONResponse({**self._about, "classes": classes, "max_viewers": MAX_VIEWERS})

    async def _stats(self, _request: Request) -> Response:
        from starlette.responses import JSONResponse

        shares = await self._shares()
        figures = asdict(self._board.compute_stats())
        return JSONResponse({**figures, "shares": shares, "viewers": self._viewers.count})

    async def _shares(self) -> Mapping[str, float]:
        newest = self._board.newest
        if newest is None:
            return {}
        return await self._encoder.run(lambda: class_shares(newest.mask, self._labels.classes))

    async def _healthz(self, _request: Request) -> Response:
        from starlette.responses import JSONResponse

        newest_s = self._board.compute_stats().newest_s
        waited = time.monotonic() - self._begun if newest_s is None else newest_s
        healthy = waited < _HEALTHY_S
        content = {"healthy": healthy, "newest_frame_s": newest_s}
        return JSONResponse(content, 200 if healthy else 503)

    async def _metrics(self, _request: Request) -> Response:
        from prometheus_client import CONTENT_TYPE_LATEST
        from starlette.responses import Response

        text = to_prometheus(
            self._board.compute_stats(),
            shares=await self._shares(),
            viewers=self._viewers.count,
            about=self._about,
        )
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _snapshot(self, request: Request) -> Response:
        from starlette.responses import Response

        look = self._look(request)
        newest = self._board.newest
        if newest is None:
            return _refuse("there is no frame yet", 503)
        if look is None:
            return _refuse(_LOOK_FORM, 400)
        jpeg = await self._encoder.run(lambda: to_jpeg(newest, self._labels, look, whole=True))
        return Response(jpeg, media_type="image/jpeg")

    async def _stream(self, request: Request) -> ASGIApp:
        from starlette.responses import Response

        look = self._look(request)
        if look is None:
            return _refuse(_LOOK_FORM, 400)
        if self._viewers.full:
            busy = f"{MAX_VIEWERS} viewers are watching already; try again when one has left"
            return _refuse(busy, 503)
        if request.method == "HEAD":
            return Response(headers={"Content-Type": KIND})
        return Motion(self._newest, self._encoder, self._viewers, look)

    def _look(self, request: Request) -> Look | None:
        return parse_look(request.query_params, len(self._labels.classes))


_LOOK_FORM: Final = "as in hide=3,4&opacity=60: class ids with commas, and 0 to 100 percent"


def _refuse(reason: str, status: int) -> Response:
    from starlette.responses import PlainTextResponse

    headers = {"Retry-After": "10"} if status == 503 else None
    return PlainTextResponse(f"{reason}\n", status, headers)


async def _read_file(request: Request) -> Response:
    from starlette.responses import Response

    name, kind = _FILES[request.url.path]
    content = resources.files("edgeseg.runtime.preview").joinpath(name).read_bytes()
    return Response(content, media_type=kind)
