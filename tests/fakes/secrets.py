"""The part of Kubernetes' API that keeps Secrets, on a port of this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.listening import listen

_MERGED = "application/strategic-merge-patch+json"


class SecretsApi:
    """`data` is that of each Secret by its name, as the API says it; `asked` are verbs with the Secret's name.

    A patch that names a version changes that one alone, and what is there is not made again: else there is a conflict.
    """

    def __init__(self) -> None:
        self.data: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.versions: dict[str, int] = {}
        self.url = ""

    def answer(self, verb: str, name: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((verb, name))
        if verb != "create" and name not in self.data:
            return _failed(404, "NotFound")
        version = str(self.versions.get(name, 0))
        if verb == "create" and name in self.data:
            return _failed(409, "AlreadyExists")
        if verb == "patch" and body.get("metadata", {}).get("resourceVersion", version) != version:
            return _failed(409, "Conflict")
        if verb in ("create", "patch"):
            self.data[name] = self.data.get(name, {}) | body["data"]
            self.versions[name] = self.versions.get(name, 0) + 1
        metadata = {"name": name, "resourceVersion": str(self.versions[name])}
        return 200, {"kind": "Secret", "metadata": metadata, "data": self.data[name]}


def _failed(code: int, reason: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "status": "Failure", "reason": reason, "code": code}


@contextmanager
def secrets_api() -> Iterator[SecretsApi]:
    api = SecretsApi()

    class Handler(BaseHTTPRequestHandler):
        def _said(self) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return found

        def _answer(self, verb: str, name: str, body: dict[str, Any]) -> None:
            status, answer = api.answer(verb, name, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def do_GET(self) -> None:
            self._answer("get", self.path.split("/")[-1], {})

        def do_POST(self) -> None:
            body = self._said()
            self._answer("create", body["metadata"]["name"], body)

        def do_PATCH(self) -> None:
            body = self._said()
            if self.headers["Content-Type"] != _MERGED:
                self.send_error(415)
                return
            self._answer("patch", self.path.split("/")[-1], body)

        def log_message(self, *said: object) -> None:
            """Nothing is said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        listen(server)
        yield api
        server.shutdown()
