"""Asks MLflow's REST API which version is champion, for a replica that joins late or was away (design D11)."""

import logging
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime

import httpx

from faceserve.errors import RegistryUnavailable
from faceserve.models.generation import Origin

log = logging.getLogger(__name__)

_SECONDS = 5.0
# Tolerance: the answer's time has whole seconds, and it was on its way for up to `_SECONDS`.
_ALIKE_SECONDS = 10.0
_TAGS = ("retraining.version", "manifest_sha256")


class ModelRegistry:
    """`url` is the MLflow server; without a `user` it is asked without a login."""

    def __init__(self, url: str, user: str = "", password: str = "") -> None:
        self._url = url.rstrip("/")
        self._login = (user, password) if user else None

    def champion(self, model: str) -> Origin | None:
        """None when there is none, or none that the pipeline registered. Raises `RegistryUnavailable`.

        When it became champion is told by this machine's clock, like everything else that it is compared with.
        """
        try:
            answer = httpx.get(
                f"{self._url}/api/2.0/mlflow/registered-models/alias",
                params={"name": model, "alias": "champion"},
                auth=self._login,
                timeout=_SECONDS,
            )
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
        except Exception as error:
            # Whatever the error is, even an invalid address: the state on disk decides without the registry.
            raise RegistryUnavailable(f"the registry cannot be asked: {type(error).__name__} {error}") from error
        try:
            found = _origin(answer.json()["model_version"])
            return replace(found, activated_at=found.activated_at and found.activated_at + _ahead_seconds(answer))
        except Exception as error:  # noqa: BLE001 - whatever it said, it named nobody
            log.warning("the registry did not say which %s is champion: %s %s", model, type(error).__name__, error)
            return None


def _ahead_seconds(answer: httpx.Response) -> float:
    """How far this machine's clock is ahead of the registry's, by the time in its answer; 0 if they go alike."""
    try:
        ahead = time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return 0.0
    return ahead if abs(ahead) > _ALIKE_SECONDS else 0.0


def _origin(version: dict[str, object]) -> Origin:
    """Raises `KeyError`, `TypeError` or `ValueError` for a version that was not registered by the pipeline."""
    found = version["tags"]
    if not isinstance(found, list):
        raise TypeError("tags are no list")
    tags = {str(tag["key"]): str(tag["value"]) for tag in found}
    number, sha256 = (tags[name] for name in _TAGS)
    return Origin(number, str(version["source"]), sha256, float(tags.get("promoted_at", 0.0)))
