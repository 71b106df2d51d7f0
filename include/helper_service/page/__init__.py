"""The review page: files for a browser, which lets them load from and send to nowhere else."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

_FOLDER = Path(__file__).parent / "files"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_to(app: FastAPI) -> None:
    app.mount("/review/files", StaticFiles(directory=_FOLDER), name="review-files")
    app.middleware("http")(_closed)

    @app.get("/review", include_in_schema=False)
    def review() -> FileResponse:
        return FileResponse(_FOLDER / "review.html")


async def _closed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.url.path.startswith("/review"):
        response.headers.update(_HEADERS)
    return response
