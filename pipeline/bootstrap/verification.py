"""Verification and registration: from a trained candidate to a version that may go live."""

from dataclasses import asdict
from typing import Any

from pipeline.bootstrap.lookups import Lookups
from pipeline.domain.blessing import WhenInconclusive
from pipeline.domain.errors import GiveUp
from pipeline.domain.events import LABELS
from pipeline.domain.models import Artifact, ModelType
from pipeline.steps.change_champion import ChangedChampion
from pipeline.steps.verify import Contest


class VerificationSteps(Lookups):
    def verify_accuracy(self, run_id: str) -> list[dict[str, Any]]:
        """Accuracy checks of the run's candidate beside the champion on the same photos."""
        from pipeline.steps.verify import verify_accuracy

        w = self._w
        checks = verify_accuracy(
            self._contest(run_id),
            policy=w.verification_policy,
            photos=w.photos,
            trials=w.trials,
            checks=w.checks,
            objects=w.objects,
            printer=w.printer,
        )
        return [asdict(check) for check in checks]

    def verify_performance(self, run_id: str) -> list[dict[str, Any]]:
        """Performance checks of the run's candidate in a private server."""
        from pipeline.steps.verify import verify_performance

        w = self._w
        checks = verify_performance(
            self._contest(run_id),
            policy=w.verification_policy,
            photos=w.photos,
            trials=w.trials,
            checks=w.checks,
            requests=w.settings.performance_requests,
            concurrency=w.settings.performance_concurrency,
        )
        return [asdict(check) for check in checks]

    def decide(self, run_id: str) -> dict[str, Any]:
        """The verdict, kept for ever, and where its report is."""
        from pipeline.steps.decide import decide

        w, result, dataset = self._w, *self._trained(run_id)
        decided = decide(
            result,
            dataset,
            labels=LABELS,
            policy=w.verification_policy,
            when_inconclusive=WhenInconclusive(w.settings.inconclusive),
            checks=w.checks,
            blessings=w.blessings,
            objects=w.objects,
            printer=w.printer,
            experiments=w.experiments,
            clock=w.clock,
            code=w.code_tags,
        )
        blessing = decided.blessing
        return {
            "accepted": blessing.approved,
            "held": blessing.held and not blessing.approved,
            "verdict": str(blessing.verdict),
            "reasons": list(blessing.reasons),
            "doubts": list(blessing.doubts),
            "advice": blessing.advice,
            "report_uri": blessing.report_uri,
            "report_url": decided.report_url,
        }

    @staticmethod
    def demand_acceptance(run_id: str, verdict: dict[str, Any]) -> dict[str, Any]:
        """The verdict that `decide` gave; raises `GiveUp` with its reasons when the model may not go live."""
        report = verdict["report_url"] or verdict["report_uri"]
        why = "; ".join(verdict["reasons"])
        if verdict["held"]:
            how = f"`python -m pipeline approve --run-id {run_id} --actor … --reason …`, then clear this task"
            raise GiveUp(f"the model waits for a person: {why}. To let it go on: {how} (report: {report})")
        if not verdict["accepted"]:
            raise GiveUp(f"the model was refused: {why}. Next: {verdict['advice']} (report: {report})")
        return verdict

    def approve(self, run_id: str, actor: str, reason: str) -> dict[str, Any]:
        """Let a held run go on; recorded with `actor` and `reason`."""
        from pipeline.steps.approve import approve

        blessing = approve(run_id, actor=actor, reason=reason, blessings=self._w.blessings, clock=self._w.clock)
        return {"run_id": run_id, "approved": blessing.approved, "waited_for": list(blessing.reasons)}

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
            objects=w.objects,
            tags=w.code_tags,
        )
        return version.version

    def force_promote(self, model_type: str, wanted: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Serve `wanted`, a version or a run, whatever its verdict says; recorded with `actor` and `reason`."""
        from pipeline.steps.force_promote import force_promote

        w = self._w
        changed = force_promote(
            ModelType(model_type),
            wanted,
            request_id=request_id,
            actor=actor,
            reason=reason,
            runs=w.training_runs,
            versions=w.versions,
            blessings=w.blessings,
            transitions=w.transitions,
            fleet=w.fleet,
            registry=w.registry,
            objects=w.objects,
            clock=w.clock,
            tags=w.code_tags,
        )
        return as_changed(changed)

    def retry(self, run_id: str) -> dict[str, Any] | None:
        """Conf of one more training with other hyperparameters, None when verification says that none may help."""
        from pipeline.steps.retry import retry

        return retry(run_id, blessings=self._w.blessings, runs=self._w.training_runs)

    def _contest(self, run_id: str) -> Contest:
        result, dataset = self._trained(run_id)
        return Contest(
            run_id=run_id,
            model_type=ModelType(dataset.model_type),
            candidate=Artifact(result.artifact_uri, result.manifest_sha256),
            champion=self._champion(ModelType(dataset.model_type)),
            manifest=self._manifest(dataset.id),
        )


def as_changed(changed: ChangedChampion) -> dict[str, Any]:
    return {
        "version": changed.transition.to_version,
        "previous_version": changed.transition.from_version,
        "deploy_seconds": round(changed.seconds, 3),
        "swap_milliseconds_max": changed.swap.swap_milliseconds_max if changed.swap else None,
        "replicas": [s.replica for s in changed.swap.replicas] if changed.swap else [],
    }
