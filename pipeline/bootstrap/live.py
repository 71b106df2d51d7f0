"""From a registered version on: going live, going back, watching, keeping, telling."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from typing import Any

from pipeline.bootstrap.backups import BackupSteps
from pipeline.bootstrap.kinds import Kinds, complete, served
from pipeline.bootstrap.live_answers import of_changed, of_entry, of_retired
from pipeline.bootstrap.live_wiring import LiveWiring
from pipeline.bootstrap.watches import recognise_copies, watch_of, watched
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.ledger import RollbackRequest
from pipeline.domain.retraining import RunOutcome
from pipeline.domain.serving import each_listed
from pipeline.domain.transitions import By, TrialOf
from pipeline.domain.troubles import Fault, Place, Question
from pipeline.ports.events import DeadLetters
from pipeline.steps.abort_canary import abort_canary
from pipeline.steps.announce_dead_letters import announce_dead_letters
from pipeline.steps.announce_failed_rollback import announce_failed_rollback
from pipeline.steps.clear_freeze import clear_freeze
from pipeline.steps.conclude_deployment import announce_failed_swap, conclude_deployment
from pipeline.steps.force_promote import force_promote
from pipeline.steps.hot_swap import hot_swap
from pipeline.steps.judge_canary import judge_canary
from pipeline.steps.plan_rollback import plan_rollback
from pipeline.steps.promote_canary import promote_canary
from pipeline.steps.prune import prune
from pipeline.steps.publish import publish, publish_soon
from pipeline.steps.reconcile import reconcile
from pipeline.steps.restore import restore
from pipeline.steps.retire import Retired, plan_retirement, retire
from pipeline.steps.roll_back import roll_back
from pipeline.steps.start_canary import start_canary
from pipeline.steps.tell_people import unheard, untold
from pipeline.steps.tell_question import tell_lapse, tell_question
from pipeline.steps.tell_trouble import (
    note_success,
    tell_fault,
    tell_late,
    tell_overdue,
    tell_pauses,
    tell_problems,
    tell_recoveries,
)


class LiveSteps(BackupSteps):
    """What happens to versions that have a number. `request_id` names a request: asked twice, it acts once."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._kinds = Kinds(wiring)

    @cached_property
    def _live(self) -> LiveWiring:
        return LiveWiring(self._w)

    # Going live

    def hot_swap(self, model_type: str, version: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Serve `version` on every replica."""
        by = By(actor, reason, request_id)
        return of_changed(hot_swap(self._live.deployment, served(model_type), version, by))

    def force_promote(self, model_type: str, wanted: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Serve `wanted`, a version or a run, whatever its verdict says; recorded with `actor` and `reason`."""
        live, by = self._live, By(actor, reason, request_id)
        return of_changed(force_promote(live.deployment, live.registration, complete(model_type), wanted, by))

    def start_canary(self, model_type: str, version: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Give `version` its share of the requests; the same request again goes on with the same trial."""
        by, percent = By(actor, reason, request_id), self._live.canary_policy.percent
        trial = start_canary(self._live.deployment, complete(model_type), version, percent, by)
        self.publish_soon()
        return {"version": version, "percent": percent, "beside": trial.beside}

    def judge_canary(
        self, model_type: str, version: str, *, proven: bool = False, begun_by: str | None = None
    ) -> dict[str, str]:
        """`promote`, `abort` or `wait`, with the reason; `proven` when an earlier look said `promote`.

        `begun_by` is the request whose trial is meant, None for whichever there is.
        """
        live, kind = self._live, self._kinds.of(model_type)
        recognise_copies(live, kind, self._w.clock)
        policy = live.canary_policy.after_proof() if proven else live.canary_policy
        verdict = judge_canary(live.deployment, kind.metrics, complete(model_type), TrialOf(version, begun_by), policy)
        return {"decision": verdict.decision, "reason": verdict.reason}

    def promote_canary(self, model_type: str, version: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Serve the version to everybody that is on trial since `request_id` began it."""
        by = By(actor, reason, request_id)
        return of_changed(promote_canary(self._live.deployment, complete(model_type), version, by))

    def abort_canary(
        self, model_type: str, version: str, actor: str, reason: str, request_id: str, *, begun_by: str | None = None
    ) -> bool:
        """Take the version on trial out of the requests; False when it was not on trial. `begun_by` as in
        `judge_canary`; without it, as a person asks, raises `GiveUp` when there is nothing to take out.
        """
        meant, by = TrialOf(version, begun_by), By(actor, reason, request_id)
        return abort_canary(self._live.deployment, complete(model_type), meant, by)

    def conclude_deployment(self, run_id: str) -> RunOutcome:
        """Whether the run's model was deployed, and if not, what became of it."""
        return conclude_deployment(self._live.deployment, run_id)

    def announce_failed_swap(self, model_type: str, version: str, request_id: str, reason: str) -> None:
        """An accepted version could not go live, or nobody knows whether it did."""
        announce_failed_swap(self._live.deployment, served(model_type), version, By("hot_swap", reason, request_id))

    # Going back

    def rollback_plan(self, model_type: str, target: str) -> dict[str, Any]:
        """What rolling back to `target`, a version or `previous`, would do now, and the question to ask a person."""
        return asdict(plan_rollback(self._w.transitions, served(model_type), target))

    def roll_back(
        self, model_type: str, asked: RollbackRequest, actor: str, reason: str, request_id: str
    ) -> dict[str, Any]:
        """Serve an earlier version again."""
        changed = roll_back(self._live.deployment, served(model_type), asked, By(actor, reason, request_id))
        return of_changed(changed)

    def announce_failed_rollback(self, model_type: str, asked: RollbackRequest, request_id: str, reason: str) -> None:
        """Nobody tries this rollback again: people are told, unless it served after all."""
        by = By("roll_back", reason, request_id)
        announce_failed_rollback(self._live.deployment, served(model_type), asked, by)

    def complete_rollback(self, model_type: str) -> dict[str, Any]:
        """Bring the replicas back that a rollback missed, and tell the registry. Raises `ServiceUnavailable` while a
        replica is still missing, or what the registry raised.
        """
        ledger = self._w.transitions.ledger(served(model_type))
        if ledger.incomplete is None and not ledger.registry_is_behind:
            return {"champion": ledger.champion, "missing": []}
        done = self.reconcile(model_type)
        if done["missing"]:
            raise ServiceUnavailable("faceserve", f"not every replica is back: {'; '.join(done['missing'])}")
        return done

    def reconcile(self, model_type: str) -> dict[str, Any]:
        """Make replicas and registry follow the transition log."""
        done = reconcile(self._live.deployment, served(model_type))
        return {**asdict(done), "missing": list(each_listed(done.missing))}

    def clear_freeze(
        self, model_type: str, actor: str, reason: str, request_id: str, meant: str | None = None
    ) -> dict[str, Any]:
        """Allow promotions again after the automatic rollback `meant`; None is whichever there is."""
        by = By(actor, reason, request_id)
        cleared = clear_freeze(self._w.transitions, watched(model_type), by, self._w.clock, meant)
        return {"cleared": cleared.id, "champion": cleared.version}

    # Watching

    def watch(self, model_type: str) -> dict[str, Any]:
        """How well the champion does, recorded; `act` says whether to roll back to `target`, `reason` why or why not.
        `troubles` are sentences: what does not work just now, and what is urgent and reached nobody.

        A broker or storage out of reach does not keep the monitor from looking, and nothing else is done before a
        decision to roll back is handed on: the next look does it.
        """
        watch = watch_of(model_type, self._live, self._kinds, self._w.clock)
        seen = watch.look()
        if seen is None or not seen.decision.act:
            watch.prepare()
            broker = announce_dead_letters(self._w.dead_letters, self._w.outbox, self._w.clock)
            problems = {model_type: seen.to_mend if seen else None, "RabbitMQ": broker}
            tell_problems(self._w.troubles, self._w.clock, problems)
            self.publish_soon()
        troubles = [*map(str, self._w.troubles.open()), *unheard(self._w.outbox)]
        nothing = {"state": "unknown", "reason": f"no {model_type} model serves yet", "act": False}
        return {**(seen.said if seen else nothing), "troubles": troubles}

    def history(self, model_type: str) -> list[dict[str, Any]]:
        """Who served from when, by whom and why, and what was noted between; oldest first, as the log has it."""
        return [of_entry(entry) for entry in self._w.transitions.ledger(served(model_type)).facts]

    # Keeping

    def retire(
        self, model_type: str, actor: str, request_id: str, *, keep: int | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """Archive what the retention policy selects; `keep` instead of the setting."""
        live, of_type, policy = self._live, served(model_type), self._live.retention_policy(keep)
        if dry_run:
            return of_retired(Retired(plan_retirement(live.keeping, of_type, policy), (), {}), dry_run=True)
        by = By(actor, f"older than the newest {policy.keep}", request_id)
        return of_retired(retire(live.keeping, of_type, policy, by, self._w.settings.archive_uri), dry_run=False)

    def prune(self, model_type: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Throw away images, caches, refused models and readings that are past their time."""
        done = prune(self._live.pruning, served(model_type), self._w.settings.pruning, dry_run=dry_run)
        return {**asdict(done), "dry_run": dry_run}

    def restore(self, model_type: str, version: str, actor: str, request_id: str) -> dict[str, Any]:
        """Bring an archived version's files back."""
        by = By(actor, "by hand", request_id)
        restored = restore(self._live.keeping, served(model_type), version, by, self._w.settings.archive_uri)
        return {"version": restored.version, "status": str(restored.status)}

    # What does not work

    def report_fault(self, fault: Fault) -> None:
        """A step failed for good in one run: people hear of it, then twice a day while that goes on, and at once when
        the reason changes.
        """
        tell_fault(self._w.troubles, self._w.clock, fault)

    def report_success(self, place: Place, part: int) -> None:
        """A step succeeded, its copy `part`."""
        note_success(self._w.troubles, self._w.clock, place, part)

    def report_pauses(self, paused: Mapping[str, bool], consequences: Mapping[str, str]) -> None:
        """Whether each DAG is paused that should always run, and what does not happen then, as a sentence.

        Whoever looks tells of what works again, too.
        """
        tell_pauses(self._w.troubles, self._w.clock, paused, consequences)
        tell_recoveries(self._w.troubles, self._w.clock)

    def report_overdue(self, dag_id: str, run_id: str, link: str, *, ended: bool = True) -> None:
        """A run takes too long: it was `ended`, or goes on."""
        (tell_overdue if ended else tell_late)(self._w.outbox, self._w.clock, dag_id, run_id, link)

    # Telling

    def announce_question(self, question: Question, until: datetime) -> None:
        """A run waits for a person's word."""
        tell_question(self._w.outbox, self._w.clock, question, until)

    def announce_lapse(self, question: Question, outcome: str) -> None:
        """Nobody answered in time; `outcome` is a sentence."""
        tell_lapse(self._w.outbox, self._w.clock, question, outcome)

    def publish_events(self) -> int:
        """Publish committed model events; how many."""
        return publish(outbox=self._w.outbox, publisher=self._w.event_publisher)

    def publish_soon(self) -> None:
        """The same where something else matters more: what cannot be published now stays for the next time."""
        publish_soon(outbox=self._w.outbox, publisher=self._w.event_publisher)

    def untold(self) -> list[dict[str, Any]]:
        """What people have to be told, oldest first; `told` ends the matter."""
        return [{"id": event_id, **asdict(notice)} for event_id, notice in untold(self._w.outbox)]

    def telling(self) -> AbstractContextManager[bool]:
        """True inside for the one process that tells people now: two at once would tell the same."""
        return self._w.outbox.telling()

    def told(self, event_ids: Sequence[str]) -> None:
        for event_id in event_ids:
            self._w.outbox.mark_told(event_id)

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages that could not be used, for a person to look at."""
        return self._w.dead_letters
