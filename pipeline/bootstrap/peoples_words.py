"""What people decide besides what serves: each word is kept with their name, on letters in the log alone."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.bootstrap.kinds import complete
from pipeline.bootstrap.live import LiveSteps
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By
from pipeline.steps.answer_held import approve_unless_pruned, refuse
from pipeline.steps.sign_models import sign_models
from pipeline.steps.withhold import give_back, withhold

log = logging.getLogger(__name__)


def administrators_only(named: Sequence[str], of_airflow: Sequence[str] | None, actor: str) -> str | None:
    """Why `actor` may not do what is an administrator's; None for one, and where nobody says who is.

    `of_airflow` is None where Airflow does not say it; where it says that nobody is, nobody may.
    """
    known = named or of_airflow
    if known is None or actor in known:
        return None
    if not known:
        return f"{actor} is no administrator, and nobody is: name somebody in RETRAIN_ADMINISTRATORS"
    where = "RETRAIN_ADMINISTRATORS" if named else "role admin in Airflow"
    return f"{actor} is no administrator: ask {' or '.join(known)} ({where})"


class PeoplesWords(LiveSteps):
    # Messages that could not be used

    def requeue_letter(self, letter_id: str, actor: str, reason: str) -> dict[str, str]:
        """Put a message that could not be used back into the queue; the log says by whom and why. Raises `GiveUp` when
        it is not there.
        """
        letter = self._w.dead_letters.requeue(letter_id)
        log.info("dead letter %s went back, by %s: %s", letter.id, actor, reason)
        return {"requeued": letter.id}

    def discard_letter(self, letter_id: str, actor: str, reason: str) -> dict[str, str]:
        """Throw a message away that could not be used; the log says by whom and why. Raises `GiveUp` when it is not
        there.
        """
        letter = self._w.dead_letters.discard(letter_id)
        log.info("dead letter %s went for ever, by %s: %s", letter.id, actor, reason)
        return {"discarded": letter.id}

    # Models

    def approve(self, run_id: str, actor: str, reason: str) -> dict[str, Any]:
        """Let a held run go on; recorded with `actor` and `reason`."""
        blessing = approve_unless_pruned(self._live.pruning, run_id, By(actor, reason, f"approve-{run_id}"))
        return {"run_id": run_id, "approved": blessing.approved, "waited_for": list(blessing.reasons)}

    def refuse(self, run_id: str, actor: str, reason: str) -> dict[str, Any]:
        """A held run's model does not go live; recorded with `actor` and `reason`."""
        blessing = refuse(
            run_id, By(actor, reason, f"refuse-{run_id}"), blessings=self._w.blessings, clock=self._w.clock
        )
        return {"run_id": run_id, "refused": blessing.refused, "waited_for": list(blessing.reasons)}

    def sign_models(self) -> dict[str, Any]:
        """Give every registered version a signature of the key in use; what was signed, and what was not, by type."""
        from pipeline.learning.signing import signer

        key = self._w.settings.signing_key
        if key is None:
            raise GiveUp("RETRAIN_SIGNING_KEY is empty: name the private key that replicas know the public one of")
        done = {str(of): sign_models(self._w.versions, self._w.objects, of, signer(key)) for of in ModelType}
        return {of: asdict(one) for of, one in done.items()}

    def demand_administrator(self, actor: str, of_airflow: Sequence[str] | None = None) -> None:
        """Raises `GiveUp` for anybody else than those whom the settings name, or without any Airflow's own."""
        if no := administrators_only(self._w.settings.administrators, of_airflow, actor):
            raise GiveUp(no)

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
