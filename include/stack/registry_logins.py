"""Who may do what in MLflow, whose server asks `authorize` at every request.

People come as `admin`, the pipeline writes, a replica only asks which version is champion; nobody comes in without one.
Passwords are in the variables `MLFLOW_<NAME>_PASSWORD` of the server and nowhere else; one may have two, divided by
a space, while one takes the place of the other. Whom an administrator gives a login of MLflow's own reads.
"""

import os
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization

_CHAMPION = "/api/2.0/mlflow/registered-models/alias"
_MAKING = threading.Lock()


@dataclass(frozen=True)
class Account:
    """`asks` names the only paths that it may get; empty: what MLflow lets it do decides."""

    name: str
    administrates: bool = False
    writes: bool = False
    asks: tuple[str, ...] = ()

    @property
    def secret(self) -> str:
        """Name of its password among the stack's secrets."""
        return f"mlflow_{self.name}"

    @property
    def variable(self) -> str:
        """The server's variable with its password."""
        return f"{self.secret}_PASSWORD".upper()

    def is_known_by(self, password: str) -> bool:
        # Compared in full, whatever the beginning is: how long it takes says nothing.
        given = password.encode()
        return any([secrets.compare_digest(given, one.encode()) for one in os.environ.get(self.variable, "").split()])


ADMINISTRATOR, PIPELINE, REPLICA = (
    Account("admin", administrates=True),
    Account("pipeline", writes=True),
    Account("replica", asks=(_CHAMPION,)),
)
ACCOUNTS = (ADMINISTRATOR, PIPELINE, REPLICA)
SECRETS = tuple(account.secret for account in ACCOUNTS)
# What the pipeline may change; not who has a login.
_WRITTEN = ("experiment", "registered_model")


def authorize() -> "Authorization | Response":
    """Called by MLflow inside a request: who asks, or an answer of 401 or 403 that ends it."""
    from flask import request
    from mlflow.server import auth

    given = request.authorization
    account = next((one for one in ACCOUNTS if given is not None and one.name == given.username), None)
    if given is None or account is None:
        return auth.authenticate_request_basic_auth()
    if not account.is_known_by(given.password or ""):
        return auth.make_basic_auth_response()
    if account.asks and (request.method != "GET" or request.path not in account.asks):
        return auth.make_forbidden_response()
    with _MAKING:
        _make(account)
    return given


def _make(account: Account) -> None:
    """MLflow keeps what an account may; its password there nobody knows."""
    from mlflow.server.auth import store

    if store.has_user(account.name):
        return
    store.create_user(account.name, secrets.token_urlsafe(32), is_admin=account.administrates)
    for kind in _WRITTEN if account.writes else ():
        store.grant_user_permission(account.name, kind, "*", "MANAGE")
