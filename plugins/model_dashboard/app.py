"""The pages and what they ask for: reading alone, and nothing for anybody who is not logged in to Airflow."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel

from pipeline.bootstrap import ALWAYS_ON, GiveUp, TryAgain, UnknownVersion, refusal, watched_types
from pipeline.bootstrap.dashboard import MOST_DAYS, Dashboard
from plugins.administrators import administrators
from plugins.model_dashboard.access import allowed
from plugins.model_dashboard.files import HEADERS, Files, media_type
from plugins.outside.pipeline import ask_airflow


def _watched(model_type: str) -> str:
    if model_type not in watched_types():
        raise ValueError(refusal(model_type))
    return model_type


_KINDS = Annotated[
    str,
    Query(alias="model_type", json_schema_extra={"enum": list(watched_types())}),
    AfterValidator(_watched),
]
# Digits of every alphabet are `\d`.
_VERSION = Annotated[str, Query(pattern=r"^v[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}$")]
Opener = Callable[[], Dashboard]
Known = Callable[[], Sequence[str] | None]


class Refusal(BaseModel):
    """`detail` is a sentence."""

    detail: str


_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "Nobody is logged in to Airflow"},
    403: {"model": Refusal, "description": "This person may not look at plugins"},
    503: {"model": Refusal, "description": "Something that knows is away, or cannot say"},
}
_NO_VERSION: dict[int | str, dict[str, Any]] = {404: {"model": Refusal, "description": "No such version"}}


def _open() -> Dashboard:
    return Dashboard.from_env(ask_airflow)


def make_app(open_dashboard: Opener = _open, known: Known = administrators) -> FastAPI:
    """Mounted apps inherit no authentication: every route asks for it, the files too, because each is a route."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=_REFUSALS,
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
    )
    app.middleware("http")(_with_headers)
    for error, status in ((GiveUp, 503), (TryAgain, 503), (UnknownVersion, 404)):
        app.add_exception_handler(error, _sentence(status))
    _files(app, Files.read())
    _models(app, open_dashboard)
    _proof(app, open_dashboard)
    _operations(app, open_dashboard, known)
    return app


async def _with_headers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _sentence(status: int) -> Callable[[Request, Exception], JSONResponse]:
    return lambda _, error: JSONResponse({"detail": str(error)}, status_code=status)


def _files(app: FastAPI, files: Files) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return Response(files.page, media_type="text/html; charset=utf-8")

    @app.get("/{name}.svg", include_in_schema=False)
    def icon(name: str) -> Response:
        return _file(f"{name}.svg", files)

    @app.get("/files/{version}/{name}", include_in_schema=False)
    def file(version: str, name: str) -> Response:
        return _file(name, files, kept=version == files.version)


def _file(name: str, files: Files, *, kept: bool = False) -> Response:
    """`kept`: by its address no other content will ever come."""
    if name not in files.others:
        raise HTTPException(404, "no such file")
    caching = "private, max-age=31536000, immutable" if kept else "private, no-cache"
    return Response(files.others[name], media_type=media_type(name), headers={"Cache-Control": caching})


def _models(app: FastAPI, open_dashboard: Opener) -> None:
    @app.get("/api/overview")
    def overview(model_type: _KINDS) -> dict[str, Any]:
        return open_dashboard().overview(model_type)

    @app.get("/api/sightings")
    def sightings(model_type: _KINDS, days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 7) -> dict[str, Any]:
        return open_dashboard().sightings(model_type, days)

    @app.get("/api/judged")
    def judged(model_type: _KINDS, skip: Annotated[int, Query(ge=0, le=100_000)] = 0) -> dict[str, Any]:
        return open_dashboard().judged(model_type, skip)

    @app.get("/api/voices")
    def voices(model_type: _KINDS) -> list[dict[str, Any]]:
        return open_dashboard().voices(model_type)

    @app.get("/api/worth")
    def worth(model_type: _KINDS) -> dict[str, Any]:
        return open_dashboard().worth(model_type)

    @app.get("/api/replicas")
    def replicas(model_type: _KINDS) -> dict[str, Any]:
        return open_dashboard().replicas(model_type)

    @app.get("/api/canary")
    def canary(model_type: _KINDS) -> dict[str, Any] | None:
        return open_dashboard().canary(model_type)


def _proof(app: FastAPI, open_dashboard: Opener) -> None:
    zipped = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}

    @app.get("/api/proof", response_class=Response, responses={200: zipped, **_NO_VERSION})
    def proof(model_type: _KINDS, version: _VERSION) -> Response:
        body = open_dashboard().proof(model_type, version)
        named = {"Content-Disposition": f'attachment; filename="proof-{model_type}-{version}.zip"'}
        return Response(body, media_type="application/zip", headers=named)


def _operations(app: FastAPI, open_dashboard: Opener, known: Known) -> None:
    @app.get("/api/dead-letters")
    def dead_letters() -> list[dict[str, Any]]:
        return open_dashboard().dead_letters()

    @app.get("/api/dead-letters/waiting")
    def waiting_letters() -> int:
        return open_dashboard().waiting_letters()

    @app.get("/api/person")
    def person(user: GetUserDep) -> dict[str, Any]:
        """Who looks, what they may trigger, and which DAGs should never be paused."""
        return {
            "name": user.get_name(),
            "model_types": list(watched_types()),
            "always_on": ALWAYS_ON,
            "may_trigger": allowed(user, ALWAYS_ON),
            "no_administrator": _no_administrator(open_dashboard, user.get_name(), known()),
        }


def _no_administrator(open_dashboard: Opener, name: str, known: Sequence[str] | None) -> str | None:
    """Without settings nobody knows: the act itself decides."""
    try:
        return open_dashboard().may_not_administer(name, known)
    except (GiveUp, TryAgain):
        return None
