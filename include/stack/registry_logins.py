"""Who may do what in MLflow, whose server asks `authorize` at every request.

People come as `admin`, the pipeline writes, a replica only asks which version is champion; nobody comes in without one.
Passwords are in the variables `MLFLOW_<NAME>_PASSWORD` of the server and nowhere else; one may have two, divided by
a space, while one takes the place of the other. Whom an administrator gives a login of MLflow's own reads.
"""

import os
import re
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization

_CHAMPION = "/api/2.0/mlflow/registered-models/alias"
# Not who has a login, nor secrets that MLflow keeps of others.
_RUNS_AND_MODELS = (
    "/api/2.0/mlflow/(experiments|runs|metrics|artifacts|logged-models|registered-models|model-versions)/.+"
    "|/api/2.0/mlflow-artifacts/(artifacts|presigned|mpu)(/.*)?"
)
_MAKING = threading.Lock()


@dataclass(frozen=True)
class Account:
    """`paths` is a regular expression of all that it may ask for; who `only_reads` may get it, and post nothing."""

    name: str
    paths: str
    only_reads: bool = False

    @property
    def secret(self) -> str:
        """Name of its password among the stack's secrets."""
        return f"mlflow_{self.name}"

    @property
    def variable(self) -> str:
        """The server's variable with its password."""
        return f"{self.secret}_PASSWORD".upper()

    def is_known_by(self, password: str) -> bool:
        # Compared in constant time, so that the time reveals nothing.
        given = password.encode()
        return any([secrets.compare_digest(given, one.encode()) for one in os.environ.get(self.variable, "").split()])

    def may(self, method: str, path: str) -> bool:
        return bool(re.fullmatch(self.paths, path)) and (method == "GET" or not self.only_reads)


ADMINISTRATOR = Account("admin", ".*")
PIPELINE = Account("pipeline", _RUNS_AND_MODELS)
REPLICA = Account("replica", re.escape(_CHAMPION), only_reads=True)
ACCOUNTS = (ADMINISTRATOR, PIPELINE, REPLICA)
SECRETS = tuple(account.secret for account in ACCOUNTS)


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
    if not account.may(request.method, request.path):
        return auth.make_forbidden_response()
    with _MAKING:
        _make(account)
    return given


def _make(account: Account) -> None:
    """MLflow wants to know whom it obeys; the password that it keeps of them nobody knows.

    Each is an administrator there, and what it may is said here: what was made before there were logins, or by others,
    belongs to nobody, and of a model that nobody made MLflow tells others that it is forbidden, not that there is none.
    """
    from mlflow.server.auth import store

    if not store.has_user(account.name):
        store.create_user(account.name, secrets.token_urlsafe(32), is_admin=True)
    elif not store.get_user(account.name).is_admin:
        # An earlier release made it so.
        store.update_user(account.name, is_admin=True)
