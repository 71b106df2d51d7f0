"""The Open Inference Protocol v2 over HTTP: Triton's and KServe's HTTP clients, and curl, can use faceserve.

Everything said is decided in `OpenInference`; here requests become its messages, and errors HTTP statuses.
"""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from faceserve.errors import BadRequest, ServingError, Unauthenticated
from faceserve.inference.admission import Admission, Held
from faceserve.protocols.bodies import JSON_BYTES, json_bytes, received, unpacked
from faceserve.protocols.json_tensors import Answer, answer_of, as_json, plain, request_of
from faceserve.protocols.open_inference import Caller, OpenInference
from faceserve.protocols.tokens import Tokens

log = logging.getLogger(__name__)

_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_JSON = "application/json"
_MIN_COMPRESSED_BYTES = 1024
_MAX_QUESTION_BYTES = 1 << 16
# Not ready: the protocol wants a status of the fours.
_OK, _NOT_SO, _BAD, _OUR_FAULT = HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.BAD_REQUEST, 500
_LATER = {429, 503}
# Of the router come two words.
_SENTENCES = {404: "there is nothing at this path", 405: "this path does not take this method"}

_Answers = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Limits:
    """`places` requests may be worked on at once; they and those that arrive hold `held_bytes` in all."""

    places: int
    held_bytes: int
    message_bytes: int
    message_seconds: float


class OpenInferenceHttp:
    """`draining` is set when the replica shuts down; whoever shows no token of `tokens` is refused, if there is one."""

    def __init__(self, service: OpenInference, limits: Limits, tokens: Tokens, draining: threading.Event) -> None:
        self._service = service
        self._limits = limits
        self._tokens = tokens
        self._draining = draining
        self._arriving = Admission(limits.places, limits.held_bytes)
        # It keeps Python's lock anyway; so there is only one request at once of which each number is an object.
        self._reading = threading.Lock()
        self._pool = ThreadPoolExecutor(limits.places, thread_name_prefix="http")
        self.app = Starlette(
            routes=self._routes(),
            middleware=[Middleware(GZipMiddleware, minimum_size=_MIN_COMPRESSED_BYTES, compresslevel=1)],
            exception_handlers={HTTPException: _refused},
        )

    def _routes(self) -> list[Route]:
        s = self._service
        models = {
            "": lambda model, version: plain(s.model_metadata(model, version)),
            "/config": lambda model, version: plain(s.model_config(model, version).config),
            "/stats": lambda model, version: plain(s.model_statistics(model, version)),
        }
        return [
            Route("/v2/health/live", _probe("live", lambda: True)),
            Route("/v2/health/ready", _probe("ready", lambda: s.server_ready() and not self._draining.is_set())),
            Route("/v2", self._said(lambda _: plain(s.server_metadata()))),
            Route("/v2/models/stats", self._said(lambda _: plain(s.model_statistics("", "")))),
            *(route for path, ask in models.items() for route in self._of_model(path, self._said(_about(ask)))),
            *self._of_model("/ready", self._guarded(self._model_ready)),
            *self._of_model("/infer", self._guarded(self._infer), "POST"),
            Route("/v2/repository/index", self._guarded(self._index), methods=["POST"]),
            *(
                Route(f"/v2/repository/models/{{model}}/{act}", self._guarded(self._change), methods=["POST"])
                for act in ("load", "unload")
            ),
            *(
                Route(path, self._said(lambda _: s.share_memory()), methods=["GET", "POST"])
                for path in ("/v2/systemsharedmemory/{rest:path}", "/v2/cudasharedmemory/{rest:path}")
            ),
            *(
                Route(path, self._said(lambda _: s.change_settings()), methods=["GET", "POST"])
                for path in ("/v2/trace/setting", "/v2/models/{model}/trace/setting", "/v2/logging")
            ),
        ]

    @staticmethod
    def _of_model(path: str, answers: _Answers, method: str = "GET") -> list[Route]:
        beginnings = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
        return [Route(f"{beginning}{path}", answers, methods=[method]) for beginning in beginnings]

    def _said(self, ask: Callable[[Request], object]) -> _Answers:
        async def answers(request: Request) -> Response:
            return _json(ask(request))

        return self._guarded(answers)

    def _guarded(self, answers: _Answers) -> _Answers:
        """Refusals become answers; nobody is answered without the token, or while the replica shuts down."""

        async def guarded(request: Request) -> Response:
            try:
                if self._draining.is_set():
                    raise ShuttingDown("this replica is shutting down: ask another one")
                if not self._tokens.open_for(request.headers.get("authorization", "")):
                    raise Unauthenticated("requests need `authorization: Bearer <token>`")
                return await answers(request)
            except ServingError as error:
                return _error(_STATUSES.get(error.status, _OUR_FAULT), str(error))
            except ClientDisconnect:
                return Response(status_code=_BAD)
            except HTTPException:
                raise
            except Exception:
                log.exception("%s %s failed", request.method, request.url.path)
                return _error(_OUR_FAULT, "the server failed; its log says how")

        return guarded

    async def _model_ready(self, request: Request) -> Response:
        model, version = _model(request)
        ready = self._service.model_ready(model, version)
        return _json({"name": model, "ready": ready}, _OK if ready else _NOT_SO)

    async def _index(self, request: Request) -> Response:
        ready = (await self._question(request)).get("ready") is True
        return _json(plain(self._service.repository_index("", ready=ready))["models"])

    async def _change(self, request: Request) -> NoReturn:
        parameters = (await self._question(request)).get("parameters")
        config = str(parameters.get("config", "")) if isinstance(parameters, dict) else ""
        self._service.change_repository(_model(request)[0], config)

    async def _question(self, request: Request) -> dict[str, Any]:
        """Raises `BadRequest` for a body that is there and no JSON object."""
        with self._arriving.arriving() as held:
            body = await self._body(request, held, _MAX_QUESTION_BYTES)
        try:
            found = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise BadRequest("the body must be a JSON object, or empty")
        return found

    async def _infer(self, request: Request) -> Response:
        self._service.demand_room(_model(request)[0])
        with self._arriving.arriving() as held:
            body = await self._body(request, held, self._limits.message_bytes)
            with self._arriving.admitted():
                async with _watched(request) as gone:
                    caller = Caller(waits=lambda: not gone.is_set())
                    work = self._pool.submit(self._answered, request, body, held, caller)
                    answer = await asyncio.wrap_future(work)
        if answer.json_bytes is None:
            return Response(answer.body, media_type=_JSON)
        headers = {JSON_BYTES: str(answer.json_bytes)}
        return Response(answer.body, media_type="application/octet-stream", headers=headers)

    def _answered(self, request: Request, body: bytes, held: Held, caller: Caller) -> Answer:
        """In a thread of its own."""
        body = unpacked(body, request.headers.get("content-encoding", ""), held, self._limits.message_bytes)
        with self._reading:
            message = request_of(*_model(request), body, json_bytes(request))
        return answer_of(message, self._service.infer(message, caller))

    async def _body(self, request: Request, held: Held, most: int) -> bytes:
        return await received(request, held, most, self._limits.message_seconds)


class ShuttingDown(ServingError):
    """Other replicas answer."""

    status = "UNAVAILABLE"


@asynccontextmanager
async def _watched(request: Request) -> AsyncIterator[threading.Event]:
    """An event that is set when the caller goes away."""
    gone = threading.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()
        # If this task was cancelled, nobody waits any more either.
        if not watching.done():
            gone.set()


def _probe(name: str, holds: Callable[[], bool]) -> _Answers:
    """For which no token is needed."""

    async def answers(request: Request) -> Response:
        now = holds()
        return _json({name: now}, _OK if now else _NOT_SO)

    return answers


def _json(said: object, status: int = HTTPStatus.OK) -> Response:
    return Response(as_json(said), status, media_type=_JSON)


def _about(ask: Callable[[str, str], object]) -> Callable[[Request], object]:
    return lambda request: ask(*_model(request))


def _model(request: Request) -> tuple[str, str]:
    return request.path_params["model"], request.path_params.get("version", "")


async def _refused(request: Request, error: Exception) -> Response:
    """What HTTP itself refuses: paths and methods that there are not, and sizes."""
    assert isinstance(error, HTTPException)
    return _error(error.status_code, _SENTENCES.get(error.status_code, error.detail))


def _error(status: int, text: str) -> Response:
    headers = {"Retry-After": "1"} if status in _LATER else {}
    return Response(as_json({"error": text}), status, headers, _JSON)
