"""The control API's HTTP: routes, and JSON for whatever goes wrong on any level.

Apart from ``control`` because starlette and uvicorn take a while to import; the thread that serves
does so when the screen is up.
"""

import contextlib
from typing import TYPE_CHECKING

import h11
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from gridbot.engine.control import Refused, answered

if TYPE_CHECKING:
    from gridbot.engine.control import Control


def application(control: "Control") -> Starlette:
    """The web application of one engine."""
    routes = [
        Route("/api/status", control.status),
        Route("/api/events", control.events),
        Route("/api/ledger", control.ledger),
        Route("/api/history", control.history),
        Route("/api/action", control.action, methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            Refused: _refused, HTTPException: _no_such, ClientDisconnect: _gone, Exception: _fault,
        },
    )  # fmt: skip
    app.router.redirect_slashes = False
    return app


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return answered(error.status, False, str(error), error.code)


def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = f"{error.detail}: {request.method} {request.url.path}"
    answer = answered(error.status_code, False, text, str(error.status_code))
    answer.headers.update(error.headers or {})
    return answer


def _gone(request: Request, error: Exception) -> Response:
    return answered(400, False, "the body ended early", "E10")


def _fault(request: Request, error: Exception) -> Response:
    return answered(500, False, f"a fault of gridbot: {type(error).__name__}: {error}", "500")


class JsonProtocol(H11Protocol):
    """Answers in JSON even to what is not HTTP."""

    def send_400_response(self, msg: str) -> None:
        body = msgspec.json.encode({"ok": False, "message": msg, "code": "400"})
        headers = [("content-type", "application/json"), ("connection", "close")]
        with contextlib.suppress(h11.LocalProtocolError):
            for event in (
                h11.Response(status_code=400, headers=headers), h11.Data(data=body),
                h11.EndOfMessage(),
            ):  # fmt: skip
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
