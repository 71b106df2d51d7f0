"""What people decide besides what serves: each word is kept with their name."""

import logging
from dataclasses import asdict
from typing import Any

from pipeline.bootstrap.kinds import complete
from pipeline.bootstrap.live import LiveSteps
from pipeline.domain.errors import GiveUp
from pipeline.domain.transitions import By
from pipeline.steps.answer_held import approve, refuse
from pipeline.steps.withhold import give_back, withhold

log = logging.getLogger(__name__)


class PeoplesWords(LiveSteps):
    # Messages that could not be used

    def requeue_letter(self, letter_id: str, actor: str, reason: str) -> dict[str, str]:
        """Put a message that could not be used back into the queue. Raises `GiveUp` when it is not there."""
        log.info("dead letter %s goes back, by %s", letter_id, actor)
        return {"requeued": self._w.dead_letters.requeue(letter_id).id}

    def discard_letter(self, letter_id: str, actor: str, reason: str) -> dict[str, str]:
        """Throw a message away that could not be used. Raises `GiveUp` when it is not there."""
        log.info("dead letter %s goes for ever, by %s", letter_id, actor)
        return {"discarded": self._w.dead_letters.discard(letter_id).id}

    # Models

    def approve(self, run_id: str, actor: str, reason: str) -> dict[str, Any]:
        """Let a held run go on; recorded with `actor` and `reason`."""
        by = By(actor, reason, f"approve-{run_id}")
        blessing = approve(run_id, by, blessings=self._w.blessings, clock=self._w.clock)
        return {"run_id": run_id, "approved": blessing.approved, "waited_for": list(blessing.reasons)}

    def refuse(self, run_id: str, actor: str, reason: str) -> dict[str, Any]:
        """A held run's model does not go live; recorded with `actor` and `reason`."""
        blessing = refuse(
            run_id, By(actor, reason, f"refuse-{run_id}"), blessings=self._w.blessings, clock=self._w.clock
        )
        return {"run_id": run_id, "refused": blessing.refused, "waited_for": list(blessing.reasons)}

    def demand_administrator(self, actor: str) -> None:
        """Raises `GiveUp` for anybody else, where the settings name administrators."""
        named = self._w.settings.administrators
        if named and actor not in named:
            raise GiveUp(f"{actor} is no administrator: ask {' or '.join(named)} (RETRAIN_ADMINISTRATORS)")

    # What people said

    def withhold(self, model_type: str, what: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Set aside what people said, `version:…`, `branch:…` or `reviewer:…`: no later dataset takes it."""
        w, by = self._w, By(actor, reason, request_id)
        return asdict(withhold(w.withholdings, w.transitions, w.clock, (complete(model_type), what), by))

    def give_back(self, withheld_id: str, actor: str, reason: str) -> dict[str, Any]:
        """Later datasets take again what was set aside as `withheld_id`."""
        by = By(actor, reason, f"give-back-{withheld_id}")
        return asdict(give_back(self._w.withholdings, self._w.clock, withheld_id, by))

    def withheld(self) -> list[dict[str, Any]]:
        """What was set aside, newest first, also what was given back."""
        return [asdict(one) for one in self._w.withholdings.all()]
