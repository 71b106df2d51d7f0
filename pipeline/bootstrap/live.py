"""Deployment: hot swap, canary, rollback, and telling the world."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from typing import Any

from pipeline.bootstrap.live_wiring import LiveWiring
from pipeline.bootstrap.lookups import Lookups
from pipeline.bootstrap.verification import as_changed
from pipeline.domain.errors import TryAgain
from pipeline.domain.live_events import hot_swap_failed
from pipeline.domain.models import Kind, ModelType, on_trial
from pipeline.ports.events import DeadLetters

log = logging.getLogger(__name__)


class LiveSteps(Lookups):
    @cached_property
    def _live(self) -> LiveWiring:
        return LiveWiring(self._w)

    # Going live

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
        return as_changed(changed)

    def start_canary(self, model_type: str, version: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Give `version` its share of the requests; the same request again goes on with the same trial."""
        from pipeline.steps.start_canary import start_canary

        w, policy = self._w, self._live.canary_policy
        trial = start_canary(
            ModelType(model_type),
            version,
            request_id=request_id,
            percent=policy.percent,
            actor=actor,
            reason=reason,
            versions=w.versions,
            blessings=w.blessings,
            transitions=w.transitions,
            fleet=w.fleet,
            clock=w.clock,
        )
        self._publish_soon()
        return {"version": version, "percent": policy.percent, "beside": trial.from_version}

    def judge_canary(self, model_type: str, version: str) -> dict[str, str]:
        """`promote`, `abort` or `wait`, with the reason."""
        from pipeline.steps.judge_canary import judge_canary

        w, live = self._w, self._live
        verdict = judge_canary(
            ModelType(model_type),
            version,
            policy=live.canary_policy,
            versions=w.versions,
            transitions=w.transitions,
            metrics=live.metrics,
            fleet=w.fleet,
            clock=w.clock,
        )
        return {"decision": verdict.decision, "reason": verdict.reason}

    def promote_canary(self, model_type: str, version: str, actor: str, reason: str) -> dict[str, Any]:
        """Serve the version on trial to everybody."""
        from pipeline.steps.promote_canary import promote_canary

        w = self._w
        changed = promote_canary(
            ModelType(model_type),
            version,
            actor=actor,
            reason=reason,
            versions=w.versions,
            blessings=w.blessings,
            transitions=w.transitions,
            fleet=w.fleet,
            registry=w.registry,
            outbox=w.outbox,
            clock=w.clock,
        )
        return as_changed(changed)

    def abort_canary(self, model_type: str, version: str, actor: str, reason: str) -> bool:
        """Take the version on trial out of the requests; False when it was not on trial."""
        from pipeline.steps.abort_canary import abort_canary

        w = self._w
        return abort_canary(
            ModelType(model_type),
            version,
            actor=actor,
            reason=reason,
            transitions=w.transitions,
            fleet=w.fleet,
            clock=w.clock,
        )

    # Going back

    def roll_back(
        self,
        model_type: str,
        target: str,
        reason: str,
        actor: str,
        request_id: str,
        *,
        asked_at: datetime | None = None,
        judged: str | None = None,
    ) -> dict[str, Any]:
        """Serve an earlier version again; `target` a version or `previous`, `judged` as in `RollbackRequest`."""
        from pipeline.steps.roll_back import RollbackRequest, roll_back

        w = self._w
        request = RollbackRequest(request_id, target, actor, reason, asked_at or w.clock.now(), judged)
        changed = roll_back(
            ModelType(model_type),
            request,
            versions=w.versions,
            transitions=w.transitions,
            fleet=w.fleet,
            registry=w.registry,
            outbox=w.outbox,
            clock=w.clock,
        )
        return as_changed(changed)

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
        return asdict(done)

    # Telling

    def publish_events(self) -> int:
        """Publish committed model events; how many."""
        from pipeline.steps.publish import publish

        return publish(outbox=self._w.outbox, publisher=self._w.event_publisher)

    def _publish_soon(self) -> None:
        """Now, or with whatever is published next: a broker out of reach must not hold up what matters more."""
        try:
            self.publish_events()
        except TryAgain as error:
            log.warning("events stay in the outbox for now: %s", error)

    def untold(self) -> list[dict[str, Any]]:
        """What people have to be told, oldest first; `told` ends the matter."""
        from pipeline.domain.notices import notice_of

        found = []
        for event in self._w.outbox.untold():
            if (notice := notice_of(event)) is None:
                self._w.outbox.mark_told(event.id)
            else:
                found.append({"id": event.id, "subject": notice.subject, "body": notice.body, "urgent": notice.urgent})
        return found

    def told(self, event_ids: Sequence[str]) -> None:
        for event_id in event_ids:
            self._w.outbox.mark_told(event_id)

    def conclude_deployment(self, run_id: str) -> str:
        """Whether the run's model was `deployed`, `canary aborted` or `failed`; nothing stays on trial of a run that
        ended otherwise.
        """
        version = self._w.versions.of_run(run_id)
        if version is None:
            return "failed"
        model_type = version.model_type
        if any(t.to_version == version.version for t in self._w.transitions.served(model_type)):
            return "deployed"
        trial = on_trial(self._w.transitions.facts(model_type))
        if trial is not None and trial.to_version == version.version:
            self.abort_canary(model_type, version.version, f"run {run_id}", "the run ended without a promotion")
        facts = self._w.transitions.facts(model_type)
        if any(t.kind is Kind.CANARY_ABORT and t.to_version == version.version for t in facts):
            return "canary aborted"
        return "failed"

    def announce_failed_swap(self, model_type: str, version: str, request_id: str, reason: str) -> None:
        """An accepted version could not go live; a canary that was aborted has said so itself."""
        facts = self._w.transitions.facts(ModelType(model_type))
        if not (facts and facts[-1].kind is Kind.CANARY_ABORT and facts[-1].to_version == version):
            event = hot_swap_failed(
                event_id=f"hot-swap-failed:{model_type}:{version}:{request_id}",
                version=version,
                model_type=model_type,
                reason=reason,
                at=self._w.clock.now(),
            )
            self._w.outbox.add(event)
        self._publish_soon()

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that could not be used, for a person to look at."""
        return self._w.dead_letters
