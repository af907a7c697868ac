"""Decides who may see the preview, before any path is looked at."""

from __future__ import annotations

import hmac
import html
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from edgeseg.runtime.preview.address import is_loopback

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_ASK: Final = """<!doctype html><meta charset="utf-8"><title>edgeseg</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<p>{reason}</p><form><label>Token <input name="token" type="password" autofocus></label>
<button>Watch</button></form>
"""


class Guard:
    """ASGI middleware that checks the token: `Authorization: Bearer`, `?token=`, or a cookie.

    A page that was opened with `?token=` gets the cookie and a URL without the token, so that the
    token stays out of the history. Without a token only requests to this machine's own names are
    answered. So another site cannot point its name here and read the preview (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on and add headers to its response."""
        from starlette.requests import Request

        if scope["type"] != "http":
            return
        refusal = self._find_refusal(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        await self._app(scope, receive, with_headers)

    def _find_refusal(self, request: Request) -> Response | None:
        from starlette.responses import PlainTextResponse

        if self._token is None:
            if is_loopback(_read_host(request)):
                return None
            return PlainTextResponse("this preview is for this machine only\n", 403, _HEADERS)
        return self._find_token_refusal(request, self._token)

    def _find_token_refusal(self, request: Request, token: str) -> Response | None:
        from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse

        asked = parse_qs(request.url.query).get("token", [""])[-1]
        if request.url.path == "/" and _are_equal(asked, token):
            response = RedirectResponse("/", 303, _HEADERS)
            response.set_cookie(_name_cookie(request), token, httponly=True, samesite="strict")
            return response
        if any(_are_equal(given, token) for given in (asked, *_find_tokens(request))):
            return None
        reason = "that is not the preview's token" if asked else "this preview asks for a token"
        if request.url.path == "/":
            return HTMLResponse(_ASK.format(reason=html.escape(reason)), 401, _HEADERS)
        challenge = {**_HEADERS, "WWW-Authenticate": "Bearer"}
        return PlainTextResponse(f"{reason}\n", 401, challenge)


def _find_tokens(request: Request) -> tuple[str, str]:
    """Find the tokens in the request's headers: the cookie's, and the bearer's."""
    cookie = request.cookies.get(_name_cookie(request), "")
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    return cookie, bearer.strip() if kind.lower() == "bearer" else ""


def _name_cookie(request: Request) -> str:
    """Name the cookie by port: browsers send a host's cookies to every preview on that host."""
    return f"edgeseg_preview_{request.scope['server'][1]}"


def _read_host(request: Request) -> str:
    """Read the host name that the request was sent to, without its port; empty without one."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _are_equal(given: str, token: str) -> bool:
    """Compare two tokens in a time that does not reveal how much of them is equal."""
    return hmac.compare_digest(given.encode(), token.encode())
