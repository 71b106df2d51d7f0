"""Verification and registration: from a trained candidate to a version that may go live."""

from dataclasses import asdict
from typing import Any

from pipeline.bootstrap.lookups import Lookups
from pipeline.domain.errors import GiveUp
from pipeline.domain.events import LABELS
from pipeline.domain.models import Artifact, ModelType
from pipeline.steps.change_champion import ChangedChampion


class VerificationSteps(Lookups):
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
            clock=w.clock,
        )
        return as_changed(changed)


def as_changed(changed: ChangedChampion) -> dict[str, Any]:
    return {
        "version": changed.transition.to_version,
        "previous_version": changed.transition.from_version,
        "deploy_seconds": round(changed.seconds, 3),
        "swap_milliseconds_max": changed.swap.swap_milliseconds_max if changed.swap else None,
        "replicas": [s.replica for s in changed.swap.replicas] if changed.swap else [],
    }
