"""Answers the preview's requests, path by path.

The only source has the paths themselves. Of several sources, each has them below its name, and
above them lie a page that shows all sources, their health and their metrics.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Final

from edgeseg.labels import to_hex
from edgeseg.runtime.preview.metrics import to_prometheus
from edgeseg.runtime.preview.motion import KIND, MAX_VIEWERS, Motion, Viewers
from edgeseg.runtime.preview.picture import Look, parse_look, to_jpeg
from edgeseg.runtime.preview.view import View

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    Answer = Callable[[Request], Awaitable[Response | ASGIApp]]

__all__ = ["make_app"]

# Without a mask for this long a source counts as not healthy.
_HEALTHY_S: Final = 10.0
_KINDS: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def make_app(views: Sequence[View]) -> Starlette:
    """Make the application with all paths; it belongs to one event loop."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    viewers = Viewers()

    def list_routes(view: View) -> list[BaseRoute]:
        pages = _Pages(view, viewers, several=len(views) > 1)
        alone = _Group([view], viewers)
        return [*_list_files("page"), *pages.routes, *alone.routes]

    if len(views) == 1:
        return Starlette(routes=list_routes(views[0]))
    group = _Group(views, viewers)
    mounts = [Mount(f"/{view.about.name}", routes=list_routes(view)) for view in views]
    return Starlette(routes=[*_list_files("grid"), *group.routes, *mounts])


def _list_files(page: str) -> list[BaseRoute]:
    """List the routes of a page and of what it loads."""
    return _make_routes(
        {
            "/": _serve_file(f"{page}.html"),
            f"/{page}.js": _serve_file(f"{page}.js"),
            "/page.css": _serve_file("page.css"),
        }
    )


class _Group:
    """The figures of one source, or of all together."""

    def __init__(self, views: Sequence[View], viewers: Viewers) -> None:
        self._views = views
        self._viewers = viewers
        self._begun = time.monotonic()

    @property
    def routes(self) -> list[BaseRoute]:
        return _make_routes(
            {"/healthz": self._healthz, "/metrics": self._metrics, "/sources": self._sources}
        )

    async def _healthz(self, _request: Request) -> Response:
        """Report whether any source gives masks, and since when each has given none.

        Sources that have ended did their work: they count as healthy where no other is left.
        """
        from starlette.responses import JSONResponse

        states = {view.about.name: view.state for view in self._views}
        newest = {view.about.name: view.board.newest_s for view in self._views}
        left = [newest[view.about.name] for view in self._views if not view.is_over]
        healthy = any(map(self._is_healthy, left)) or set(states.values()) == {"ended"}
        content = {"healthy": healthy, "newest_frame_s": newest, "state": states}
        if len(newest) == 1:
            (name,) = newest
            content |= {"newest_frame_s": newest[name], "state": states[name]}
        return JSONResponse(content, 200 if healthy else 503)

    def _is_healthy(self, newest_s: float | None) -> bool:
        waited = time.monotonic() - self._begun if newest_s is None else newest_s
        return waited < _HEALTHY_S

    async def _metrics(self, _request: Request) -> Response:
        from prometheus_client import CONTENT_TYPE_LATEST
        from starlette.responses import Response

        figures = [await view.compute_figures() for view in self._views]
        text = to_prometheus(figures, viewers=self._viewers.count)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _sources(self, _request: Request) -> Response:
        from starlette.responses import JSONResponse

        return JSONResponse(
            [
                {
                    "name": view.about.name,
                    **view.texts,
                    "state": view.state,
                    "state_line": view.describe_state(),
                    **asdict(view.compute_stats()),
                }
                for view in self._views
            ]
        )


class _Pages:
    """The pages of one source, perhaps of several."""

    def __init__(self, view: View, viewers: Viewers, *, several: bool) -> None:
        self._view = view
        self._viewers = viewers
        self._several = several

    @property
    def routes(self) -> list[BaseRoute]:
        return _make_routes(
            {
                "/info": self._info,
                "/stats": self._stats,
                "/stream": self._stream,
                "/picture": self._picture,
                "/snapshot": self._snapshot,
            }
        )

    async def _info(self, _request: Request) -> Response:
        from starlette.responses import JSONResponse

        labels = self._view.about.legend.labels
        classes = [
            {"name": name, "colour": color}
            for name, color in zip(labels.classes, map(to_hex, labels.palette), strict=True)
        ]
        more = {
            "classes": classes,
            "max_viewers": MAX_VIEWERS,
            "name": self._view.about.name,
            "several": self._several,
        }
        return JSONResponse({**self._view.texts, **more})

    async def _stats(self, _request: Request) -> Response:
        from starlette.responses import JSONResponse

        figures = await self._view.compute_figures()
        shown = {
            "state": self._view.state,
            "state_line": self._view.describe_state(),
            "shares": figures.shares,
            "viewers": self._viewers.count,
        }
        return JSONResponse({**asdict(figures.stats), **shown})

    async def _picture(self, request: Request) -> Response:
        return await self._show(request, whole=False)

    async def _snapshot(self, request: Request) -> Response:
        return await self._show(request, whole=True)

    async def _show(self, request: Request, *, whole: bool) -> Response:
        """Show the newest picture: at the frame's size, or as a page shows it."""
        from starlette.responses import Response

        look = self._look(request)
        newest = self._view.board.newest
        if newest is None:
            return _refuse("there is no frame yet", 503)
        if look is None:
            return _refuse(_LOOK_FORM, 400)
        encoder, legend = self._view.encoder, self._view.about.legend
        if whole:
            jpeg = await encoder.run(lambda: to_jpeg(newest, legend, look, whole=True))
        else:
            jpeg = await encoder.encode(newest, look)
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
        return Motion(self._view.newest, self._view.encoder, self._viewers, look)

    def _look(self, request: Request) -> Look | None:
        return parse_look(request.query_params, len(self._view.about.legend.labels.classes))


_LOOK_FORM: Final = "as in hide=3,4&opacity=60: class ids with commas, and 0 to 100 percent"


def _make_routes(answers: dict[str, Answer]) -> list[BaseRoute]:
    from starlette.routing import Route

    return [Route(path, answer) for path, answer in answers.items()]


def _refuse(reason: str, status: int) -> Response:
    from starlette.responses import PlainTextResponse

    headers = {"Retry-After": "10"} if status == 503 else None
    return PlainTextResponse(f"{reason}\n", status, headers)


def _serve_file(name: str) -> Answer:
    async def serve(_request: Request) -> Response:
        from starlette.responses import Response

        content = resources.files("edgeseg.runtime.preview").joinpath(name).read_bytes()
        return Response(content, media_type=_KINDS[name[name.rindex(".") :]])

    return serve
