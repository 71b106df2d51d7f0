"""A replica that starts asks the registry which versions are champions, and goes on asking while something is away."""

import logging
import threading

from faceserve.errors import RegistryUnavailable
from faceserve.rollout.lifecycle import ModelLifecycleManager
from faceserve.rollout.registry import ModelRegistry
from faceserve.rollout.restoring import Word

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class ComingBack:
    """Without a `registry` the state on disk alone decides."""

    def __init__(self, manager: ModelLifecycleManager, registry: ModelRegistry | None) -> None:
        self._manager = manager
        self._registry = registry
        self._stopped = threading.Event()
        # Problems that were logged once are not logged every few seconds.
        self._unknown: set[str] = set()

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
        """Whether another attempt is due; one that failed unexpectedly is always repeated."""
        try:
            return bool(self._waiting())
        except Exception:
            log.exception("coming back failed and is tried again in %g s", _RETRY_SECONDS)
            return True

    def _waiting(self) -> set[str]:
        """Models that do not serve what they should, and may do so later: once the registry, the store or memory is
        back.
        """
        words = self._words()
        problems = self._manager.restore(words)
        for model, problem in problems.items():
            active = self._manager.snapshot(model).active
            serves = f"serves {active.version} and not what it should" if active else "does not serve"
            how = f"`python -m pipeline reconcile --model-type {model.upper()}`"
            log.error("%s %s: %s; %s brings it back", model, serves, problem, how)
        waiting = {model for model, problem in problems.items() if problem.may_pass}
        return waiting | {model for model in self._unknown if not self._manager.settled(model)}

    def _words(self) -> dict[str, Word]:
        """The registry's word for each model; until it answers, what serves only stands in."""
        if self._registry is None:
            return {}
        found: dict[str, Word] = {}
        for model in self._manager.models:
            try:
                found[model] = Word(self._registry.champion(model))
                self._unknown.discard(model)
            except RegistryUnavailable as error:
                found[model] = Word(given=False)
                if model not in self._unknown:
                    log.warning("%s comes back with what it served, until the registry answers: %s", model, error)
                self._unknown.add(model)
        return found
