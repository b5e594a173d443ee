"""What is answered to a request that cannot be read: no HTTP, or a line or header beyond all measure.

Such a request reaches no application. The library answers it with a plain text that names the library and repeats what
it could not read; here it gets a problem as every other, under the headers that the application puts on its answers.
"""

from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from chassis import logs
from chassis.problems import Problem


class Runner(web.AppRunner):
    """An application's runner, on whose connections also the unreadable is answered as the application answers."""

    async def _make_server(self) -> web.Server:
        return _Server(self.app, await super()._make_server())


class _Server(web.Server):
    """`made` by the application, but for the connections."""

    def __init__(self, app: web.Application, made: web.Server) -> None:
        super().__init__(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )
        self.app = app

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ("_app",)

    def __init__(self, server: _Server, **how: Any) -> None:
        super().__init__(server, **how)
        self._app = server.app

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        theirs = super().handle_error(request, status, exc, message)  # logs it, and ends the connection
        if not isinstance(exc, HttpProcessingError):
            return theirs
        logs.enter_request(request)
        return _Answer(self._app, _problem(exc))


class _Answer(web.Response):
    """No route was found for it, so nobody else asks the application what it puts on its answers."""

    def __init__(self, app: web.Application, problem: Problem) -> None:
        told = problem.response()
        super().__init__(status=told.status, body=told.body, content_type=told.content_type)
        self.force_close()
        self._app = app

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()  # which names the library, and is where a hook comes in for other answers
        await self._app.on_response_prepare.send(cast("web.Request", self._req), self)


def _problem(error: HttpProcessingError) -> Problem:
    if isinstance(error, LineTooLong):
        return Problem(400, "unreadable", "The address or a header of this request is too long.")
    return Problem(400, "unreadable", "This is no request of HTTP that can be read.")
