"""Composition root: one method per step, each keyed so that it may run twice; the only door for DAGs and plugins."""

import logging
from dataclasses import asdict
from typing import Any

from pipeline.bootstrap.training import TrainingSteps
from pipeline.bootstrap.training import end_on_sigterm as end_on_sigterm
from pipeline.bootstrap.upkeep import UpkeepSteps
from pipeline.bootstrap.verification import VerificationSteps
from pipeline.domain.backbones import BACKBONES as BACKBONES
from pipeline.domain.errors import GiveUp as GiveUp
from pipeline.domain.errors import TrainingInterrupted as TrainingInterrupted
from pipeline.domain.errors import TryAgain as TryAgain
from pipeline.domain.models import MODEL_TYPES as MODEL_TYPES
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingDecision

log = logging.getLogger(__name__)

_RUN_LEASE_HOURS = 36.0


class Pipeline(TrainingSteps, VerificationSteps, UpkeepSteps):
    """The retraining application, wired. `run_id` names one retraining and keys everything it writes."""

    # Events

    def event_queue_depth(self) -> int:
        """Messages waiting, without touching them."""
        return self._w.event_queue.depth()

    def accumulate(self, limit: int = 100_000) -> dict[str, Any]:
        """Store waiting confirmations; counts of what came."""
        from pipeline.steps.accumulate import accumulate

        buckets = frozenset(self._w.settings.photo_buckets)
        intake = accumulate(
            queue=self._w.event_queue,
            confirmations=self._w.confirmations,
            clock=self._w.clock,
            photo_buckets=buckets,
            limit=limit,
        )
        log.info("intake: %s", intake)
        return asdict(intake)

    # When to retrain

    def consider(self, model_type: str, asked_by: str, forced_by: str | None = None) -> dict[str, Any]:
        """The policy's answer, recorded."""
        from pipeline.steps.consider import consider

        decision_id, decision = consider(
            ModelType(model_type),
            asked_by=asked_by,
            forced_by=forced_by,
            policy=self._w.retraining_policy,
            confirmations=self._w.confirmations,
            decisions=self._w.decisions,
            clock=self._w.clock,
        )
        return _decision(decision_id, decision)

    def begin_run(self, run_id: str, model_type: str, asked_by: str, forced_by: str | None = None) -> dict[str, Any]:
        """Claim the model type for this run if the policy says due; a run that holds the claim goes on with it."""
        runs, now = self._w.retraining_runs, self._w.clock.now()
        if runs.holds(run_id):
            return {"due": True, "rule": "claimed", "reason": f"{run_id} goes on", "decision_id": run_id}
        answer = self.consider(model_type, asked_by, forced_by)
        if answer["due"] and not runs.begin(run_id, ModelType(model_type), at=now, lease_hours=_RUN_LEASE_HOURS):
            return {**answer, "due": False, "rule": "running", "reason": "another retraining claimed the model type"}
        return answer

    def end_run(self, run_id: str, outcome: str) -> None:
        """Release the claim: `deployed`, `refused`, `held`, `failed`."""
        self._w.retraining_runs.end(run_id, at=self._w.clock.now(), outcome=outcome)

    def finish_run(self, run_id: str) -> str:
        """Publish what happened and release the claim. Raises `GiveUp` unless the run's model was deployed."""
        outcome = self._outcome(run_id)
        self.publish_events()
        self.end_run(run_id, outcome)
        if outcome != "deployed":
            raise GiveUp(f"run {run_id} ended without a deployment: {outcome}")
        return outcome

    # Lookups

    def _outcome(self, run_id: str) -> str:
        blessing = self._w.blessings.of_run(run_id)
        if blessing is not None and not blessing.approved:
            return "held" if blessing.held else "refused"
        return self.conclude_deployment(run_id)


def _decision(decision_id: str, decision: RetrainingDecision) -> dict[str, Any]:
    return {"due": decision.due, "rule": decision.rule, "reason": decision.reason, "decision_id": decision_id}
