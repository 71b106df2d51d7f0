"""What keeps a model in production well: live accuracy, freeze, archive, and the history of it all."""

import logging
from typing import Any

from pipeline.bootstrap.live import LiveSteps
from pipeline.domain.errors import TryAgain
from pipeline.domain.live_events import dead_letters_waiting
from pipeline.domain.models import ModelType

log = logging.getLogger(__name__)


class UpkeepSteps(LiveSteps):
    # Watching

    def watch(self, model_type: str) -> dict[str, Any]:
        """The champion's live accuracy, recorded; `act` says whether to roll back to `target`, `reason` why or why not.

        A broker out of reach does not keep the monitor from looking.
        """
        from pipeline.steps.watch import watch

        w, live = self._w, self._live
        watched = watch(
            ModelType(model_type),
            policy=live.accuracy_policy,
            transitions=w.transitions,
            versions=w.versions,
            metrics=live.metrics,
            readings=live.readings,
            clock=w.clock,
        )
        self._announce_dead_letters()
        self._publish_soon()
        if watched is None:
            return {"state": "unknown", "reason": f"no {model_type} model serves yet", "act": False}
        reading, decision = watched.reading, watched.decision
        return {
            "version": reading.version,
            "state": str(reading.state),
            "confirmed": reading.confirmed,
            "accuracy": reading.accuracy,
            "interval": [reading.low, reading.high],
            "blind_confirmed": watched.blind.confirmed,
            "blind_accuracy": watched.blind.accuracy,
            "act": decision.act,
            "target": decision.target,
            "reason": decision.reason,
            "problem": watched.problem,
        }

    def _announce_dead_letters(self) -> None:
        """At most once a day."""
        try:
            now, count = self._w.clock.now(), self._w.dead_letters.waiting()
        except TryAgain as error:
            log.warning("dead letters are counted later: %s", error)
            return
        if count:
            event_id = f"dead-letters:{now.date().isoformat()}"
            self._w.outbox.add(dead_letters_waiting(event_id=event_id, count=count, at=now))

    # Keeping

    def retire(self, model_type: str, actor: str, *, keep: int | None = None, dry_run: bool = False) -> dict[str, Any]:
        """Archive what the retention policy selects; `keep` instead of the setting."""
        from pipeline.steps.retire import retire

        w, live = self._w, self._live
        done = retire(
            ModelType(model_type),
            policy=live.retention_policy(keep),
            dry_run=dry_run,
            archive_prefix=w.settings.archive_uri,
            actor=actor,
            versions=w.versions,
            transitions=w.transitions,
            runs=w.retraining_runs,
            fleet=w.fleet,
            objects=w.objects,
            archive=live.archive,
            clock=w.clock,
        )
        return {
            "selected": list(done.plan.archive),
            "archived": list(done.archived),
            "failed": dict(done.failed),
            "kept": dict(done.plan.kept),
            "dry_run": dry_run,
        }

    def restore(self, model_type: str, version: str, actor: str) -> dict[str, Any]:
        """Bring an archived version's files back."""
        from pipeline.steps.restore import restore

        w = self._w
        restored = restore(
            ModelType(model_type),
            version,
            archive_prefix=w.settings.archive_uri,
            actor=actor,
            versions=w.versions,
            transitions=w.transitions,
            objects=w.objects,
            archive=self._live.archive,
            clock=w.clock,
        )
        return {"version": restored.version, "status": str(restored.status)}

    def history(self, model_type: str) -> list[dict[str, Any]]:
        """Who served from when, by whom and why, and what was noted between; oldest first, as the log has it."""
        return [
            {
                "served_from": t.confirmed_served_at.isoformat() if t.confirmed_served_at else None,
                "version": t.to_version,
                "before": t.from_version,
                "kind": str(t.kind),
                "actor": t.actor,
                "reason": t.reason,
            }
            for t in self._w.transitions.facts(ModelType(model_type))
        ]

    def clear_freeze(self, model_type: str, actor: str, reason: str) -> dict[str, Any]:
        """Allow promotions again after an automatic rollback."""
        from pipeline.steps.clear_freeze import clear_freeze

        freeze = clear_freeze(
            ModelType(model_type), actor=actor, reason=reason, transitions=self._w.transitions, clock=self._w.clock
        )
        return {"cleared": freeze.id, "rolled_back": freeze.from_version}
