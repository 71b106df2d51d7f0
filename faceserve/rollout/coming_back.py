"""A replica that starts asks the registry which versions are champions, and goes on asking while something is away."""

import logging
import threading

from faceserve.errors import RegistryUnavailable
from faceserve.models.generation import Origin
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.registry import ModelRegistry

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class ComingBack:
    """Without a `registry` the state on disk alone decides."""

    def __init__(self, manager: ModelLifecycleManager, registry: ModelRegistry | None) -> None:
        self._manager = manager
        self._registry = registry
        self._stopped = threading.Event()

    def restore(self) -> None:
        """Load what should serve; what cannot be loaded now but maybe later is tried again aside."""
        if self._attempt():
            threading.Thread(target=self._keep_trying, name="coming back", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _keep_trying(self) -> None:
        while not self._stopped.wait(_RETRY_SECONDS):
            if not self._attempt():
                return

    def _attempt(self) -> bool:
        """Whether another attempt is due; so it is after one that failed in a way that nobody foresaw."""
        try:
            return bool(self._waiting())
        except Exception:
            log.exception("coming back failed and is tried again in %g s", _RETRY_SECONDS)
            return True

    def _waiting(self) -> set[str]:
        """The models that do not serve what they should, but may: the registry, the store or room comes back."""
        champions, unknown = self._champions()
        problems = self._manager.restore(champions)
        for model, problem in problems.items():
            active = self._manager.snapshot(model).active
            serves = f"serves {active.version} and not what it should" if active else "does not serve"
            log.error("%s %s: %s; `python -m pipeline reconcile` brings it back", model, serves, problem)
        waiting = {model for model, problem in problems.items() if problem.may_pass}
        return waiting | {model for model in unknown if not self._manager.snapshot(model).active}

    def _champions(self) -> tuple[dict[str, Origin], set[str]]:
        """By model; and the models for which the registry did not answer: there the state on disk decides."""
        found: dict[str, Origin] = {}
        unknown: set[str] = set()
        for model in self._manager.models if self._registry else ():
            assert self._registry is not None
            try:
                champion = self._registry.champion(model)
            except RegistryUnavailable as error:
                log.warning("%s comes back with what it served: %s", model, error)
                unknown.add(model)
                continue
            if champion:
                found[model] = champion
        return found, unknown
