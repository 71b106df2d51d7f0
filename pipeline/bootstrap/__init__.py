"""Composition root: one method per step, each keyed so that it may run twice; the only door for DAGs and plugins."""

import logging
from dataclasses import asdict
from typing import Any

from pipeline.bootstrap.training import TrainingSteps
from pipeline.bootstrap.training import end_on_sigterm as end_on_sigterm
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import GiveUp as GiveUp
from pipeline.domain.errors import TrainingInterrupted as TrainingInterrupted
from pipeline.domain.errors import TryAgain as TryAgain
from pipeline.domain.events import LABELS
from pipeline.domain.models import Artifact, ModelType, ModelVersion
from pipeline.domain.retraining import RetrainingDecision
from pipeline.domain.training import TrainingResult
from pipeline.ports import DeadLetters
from pipeline.settings import Settings
from pipeline.steps.change_champion import ChangedChampion

log = logging.getLogger(__name__)

_RUN_LEASE_HOURS = 12.0


class Pipeline(TrainingSteps):
    """The retraining application, wired. `run_id` names one retraining and keys everything it writes."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @classmethod
    def from_env(cls) -> "Pipeline":
        """Settings from `RETRAIN_*` variables (see `pipeline.settings`)."""
        return cls(Wiring(Settings()))

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

    def publish_events(self) -> int:
        """Publish committed model events; how many."""
        from pipeline.steps.publish import publish

        return publish(outbox=self._w.outbox, publisher=self._w.event_publisher)

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that could not be used, for a person to look at."""
        return self._w.dead_letters

    def history(self, model_type: str) -> list[dict[str, Any]]:
        """Who served from when, by whom and why; oldest first, as the transition log has it."""
        return [
            {
                "served_from": t.confirmed_served_at.isoformat() if t.confirmed_served_at else None,
                "version": t.to_version,
                "before": t.from_version,
                "kind": str(t.kind),
                "actor": t.actor,
                "reason": t.reason,
            }
            for t in self._w.transitions.served(ModelType(model_type))
        ]

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
        """Release the claim: `deployed`, `refused`, `failed`."""
        self._w.retraining_runs.end(run_id, at=self._w.clock.now(), outcome=outcome)

    def finish_run(self, run_id: str) -> str:
        """Publish what happened and release the claim. Raises `GiveUp` unless the run's model was deployed."""
        outcome = self._outcome(run_id)
        self.publish_events()
        self.end_run(run_id, outcome)
        if outcome != "deployed":
            raise GiveUp(f"run {run_id} ended without a deployment: {outcome}")
        return outcome

    # Verification

    def verify_accuracy(self, run_id: str) -> list[dict[str, Any]]:
        """Accuracy checks of the run's candidate beside the champion on the same photos."""
        from pipeline.steps.verify import verify_accuracy

        w, result, dataset = self._w, *self._trained(run_id)
        _, checks = verify_accuracy(
            run_id,
            ModelType(dataset.model_type),
            candidate=Artifact(result.artifact_uri, result.manifest_sha256),
            champion=self._champion(ModelType(dataset.model_type)),
            manifest=self._manifest(dataset.id),
            policy=w.verification_policy,
            photos=w.photos,
            trials=w.trials,
            checks=w.checks,
            objects=w.objects,
        )
        return [asdict(check) for check in checks]

    def verify_performance(self, run_id: str) -> list[dict[str, Any]]:
        """Performance checks of the run's candidate in a private server."""
        from pipeline.steps.verify import verify_performance

        w, result, dataset = self._w, *self._trained(run_id)
        checks = verify_performance(
            run_id,
            ModelType(dataset.model_type),
            candidate=Artifact(result.artifact_uri, result.manifest_sha256),
            manifest=self._manifest(dataset.id),
            policy=w.verification_policy,
            photos=w.photos,
            trials=w.trials,
            checks=w.checks,
            requests=w.settings.performance_requests,
            concurrency=w.settings.performance_concurrency,
        )
        return [asdict(check) for check in checks]

    def decide(self, run_id: str) -> dict[str, Any]:
        """The verdict, kept for ever."""
        from pipeline.steps.decide import decide

        w, result, dataset = self._w, *self._trained(run_id)
        blessing = decide(
            run_id,
            dataset,
            labels=LABELS,
            candidate=Artifact(result.artifact_uri, result.manifest_sha256),
            policy=w.verification_policy,
            checks=w.checks,
            blessings=w.blessings,
            objects=w.objects,
            clock=w.clock,
        )
        return {"accepted": blessing.accepted, "reasons": list(blessing.reasons), "report_uri": blessing.report_uri}

    def demand_acceptance(self, run_id: str) -> dict[str, Any]:
        """The verdict; raises `GiveUp` with its reasons when it refuses."""
        verdict = self.decide(run_id)
        if not verdict["accepted"]:
            raise GiveUp(f"the model was refused: {'; '.join(verdict['reasons'])} (report: {verdict['report_uri']})")
        return verdict

    # Deployment

    def register(self, run_id: str) -> str:
        """Number the accepted candidate; its version."""
        from pipeline.steps.register import register

        w, result, dataset = self._w, *self._trained(run_id)
        version = register(
            ModelType(dataset.model_type),
            result,
            versions=w.versions,
            blessings=w.blessings,
            registry=w.registry,
        )
        return version.version

    def hot_swap(self, model_type: str, version: str, actor: str, reason: str) -> dict[str, Any]:
        """Serve `version` on every replica."""
        from pipeline.steps.hot_swap import hot_swap

        w = self._w
        changed = hot_swap(
            ModelType(model_type),
            version,
            actor=actor,
            reason=reason,
            versions=w.versions,
            blessings=w.blessings,
            transitions=w.transitions,
            fleet=w.fleet,
            registry=w.registry,
            clock=w.clock,
        )
        return _changed(changed)

    def roll_back(self, model_type: str, target: str, reason: str, actor: str, request_id: str) -> dict[str, Any]:
        """Serve an earlier version again; `target` a version or `previous`."""
        from pipeline.steps.roll_back import roll_back

        w = self._w
        changed = roll_back(
            ModelType(model_type),
            target,
            request_id=request_id,
            actor=actor,
            reason=reason,
            versions=w.versions,
            transitions=w.transitions,
            fleet=w.fleet,
            registry=w.registry,
            clock=w.clock,
        )
        return _changed(changed)

    def reconcile(self, model_type: str) -> dict[str, Any]:
        """Make replicas and registry follow the transition log."""
        from pipeline.steps.reconcile import reconcile

        w = self._w
        done = reconcile(
            ModelType(model_type),
            versions=w.versions,
            transitions=w.transitions,
            fleet=w.fleet,
            registry=w.registry,
        )
        return {"champion": done.champion, "repaired": list(done.repaired)}

    # Lookups

    def _outcome(self, run_id: str) -> str:
        blessing = self._w.blessings.of_run(run_id)
        if blessing is not None and not blessing.accepted:
            return "refused"
        version = self._w.versions.of_run(run_id)
        served = self._w.transitions.served(version.model_type) if version else ()
        return "deployed" if any(t.to_version == version.version for t in served if version) else "failed"

    def _champion(self, model_type: ModelType) -> ModelVersion | None:
        served = self._w.transitions.served(model_type)
        return self._w.versions.get(model_type, served[-1].to_version) if served else None

    def _trained(self, run_id: str) -> tuple[TrainingResult, Dataset]:
        result = self._w.training_runs.result(run_id)
        if result is None:
            raise GiveUp(f"run {run_id} has no trained model: run train first")
        return result, self._w.datasets.get(result.dataset_id)


def _decision(decision_id: str, decision: RetrainingDecision) -> dict[str, Any]:
    return {"due": decision.due, "rule": decision.rule, "reason": decision.reason, "decision_id": decision_id}


def _changed(changed: ChangedChampion) -> dict[str, Any]:
    return {
        "version": changed.transition.to_version,
        "previous_version": changed.transition.from_version,
        "deploy_seconds": round(changed.seconds, 3),
        "swap_milliseconds_max": changed.swap.swap_milliseconds_max if changed.swap else None,
        "replicas": [s.replica for s in changed.swap.replicas] if changed.swap else [],
    }
