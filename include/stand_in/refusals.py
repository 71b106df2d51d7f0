"""What a caller is told when something cannot be done, in one sentence and without what it sent."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import psycopg2
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg2.pool import PoolError
from pydantic import BaseModel

from include.stand_in.confirming import Contradiction
from include.stand_in.photos import NoPhoto, PhotosAway

log = logging.getLogger(__name__)

Answer = Callable[[Request, Exception], Awaitable[Response]]
_SAME_SITE = {"same-origin", "none"}
_READING = {"GET", "HEAD"}


class Refusal(BaseModel):
    """`detail` is a sentence."""

    detail: str


class Fault(BaseModel):
    """Where in the request it is (`query`, `path` or `body`, then names), and a sentence."""

    loc: list[str | int]
    msg: str
    type: str


class Unfit(BaseModel):
    """What is wrong with parts of the request, or a sentence on what it is about."""

    detail: str | list[Fault]


def told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """As FastAPI's `responses`: what the description of the interface says of these."""
    unfit = HTTPStatus.UNPROCESSABLE_ENTITY
    phrases = {status: HTTPStatus(status).phrase for status in statuses}
    return {one: {"model": Unfit if one == unfit else Refusal, "description": phrases[one]} for one in statuses}


def add_to(app: FastAPI, more: Mapping[type[Exception], int]) -> None:
    """`more` are statuses of errors of this service alone, whose text is for the caller."""
    answers: dict[type[Exception], Answer] = {
        **{kind: _says(status) for kind, status in more.items()},
        Contradiction: _says(409),
        NoPhoto: _no_photo,
        psycopg2.OperationalError: _away("database"),
        psycopg2.InterfaceError: _away("database"),
        PoolError: _away("database"),
        PhotosAway: _away("storage of photos"),
        RequestValidationError: _invalid,
    }
    for kind, answer in answers.items():
        app.add_exception_handler(kind, answer)
    app.middleware("http")(_not_from_other_pages)


def _says(status: int) -> Answer:
    async def answer(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, status)

    return answer


def _away(what: str) -> Answer:
    async def answer(request: Request, error: Exception) -> Response:
        # Addresses and users of it are the log's.
        log.warning("the %s is out of reach: %s %s", what, type(error).__name__, " ".join(str(error).split()))
        return JSONResponse({"detail": f"the {what} is out of reach"}, 503, {"Retry-After": "3"})

    return answer


async def _no_photo(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 404 if isinstance(error, NoPhoto) and error.gone else 422)


async def _invalid(request: Request, error: Exception) -> Response:
    """Replaces FastAPI's own answer, which would repeat what was sent, and fail on half a surrogate pair."""
    assert isinstance(error, RequestValidationError)
    faults = [{"loc": one["loc"], "msg": one["msg"], "type": one["type"]} for one in error.errors()]
    return Response(json.dumps({"detail": faults}), 422, media_type="application/json")


async def _not_from_other_pages(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuses requests from other sites' pages: one open in a reviewer's browser must not speak in their name."""
    if request.method not in _READING and request.headers.get("sec-fetch-site", "none") not in _SAME_SITE:
        return JSONResponse({"detail": "asked by another site's page"}, 403)
    return await call_next(request)
