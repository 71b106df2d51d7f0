"""Things are broken on the running stack until their alerts fire, and mended until they are over."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from include.demo.branch_managers import GARBAGE, Mischief
from include.demo.prometheus import prometheus_of
from include.demo.stage import Stage
from include.demo.story import INTAKE
from include.stack.postgres import query
from include.stack.runner import all_services
from include.stack.supervision import Supervision
from pipeline.bootstrap import Pipeline, RollbackRequest, TryAgain

_FIRES_SECONDS, _ENDS_SECONDS = 90.0, 120.0
_REASON = "drill: somebody has to look at this"
# Not the intake: the drill leaves that one paused.
_PAUSED = "model_retention"
_OLD_EVENT = """
    INSERT INTO outbox (id, type, payload, created_at, told_at)
    VALUES ('drill-alarm', 'AlarmDrillEvent', '{}', now() - interval '10 minutes', now()) ON CONFLICT DO NOTHING"""
_NO_EVENT = "DELETE FROM outbox WHERE id = 'drill-alarm'"

Act = Callable[[], object]


@dataclass(frozen=True)
class Alarm:
    """`alert` fires with `labels` some time after `make`, and is over some time after `mend`."""

    alert: str
    make: Act
    mend: Act
    labels: Mapping[str, str] = field(default_factory=dict)


class Siren:
    """Alerts, as the stack's Prometheus has them."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._prometheus = stage, prometheus_of(stage.stack)

    def fires(self, alert: str, **labels: str) -> bool:
        """Within the time that it takes; False when it did not."""
        return self._seen(alert, labels, firing=True)

    def is_silent(self, alert: str, **labels: str) -> bool:
        return self._seen(alert, labels, firing=False)

    def _seen(self, alert: str, labels: Mapping[str, str], *, firing: bool) -> bool:
        def reached() -> bool:
            return (alert in self._prometheus.firing(**labels)) is firing

        try:
            self._stage.wait(reached, alert, _FIRES_SECONDS if firing else _ENDS_SECONDS)
        except TimeoutError:
            return False
        self._stage.say(f"{alert} {'fires' if firing else 'is over'}")
        return True


class Alarms:
    """Groups of alarms that can be made at the same time, one group after the other."""

    def __init__(self, stage: Stage, pipeline: Pipeline) -> None:
        self._stage, self._pipeline = stage, pipeline
        self._supervision, self._siren = Supervision(stage.stack), Siren(stage)

    def play(self) -> None:
        """Record which alerts were seen to fire and to end; one that was not is a broken promise.

        Meanwhile the intake is paused, and stays so: of that it is only seen that it is told.
        """
        seen: dict[str, str] = {}
        # The demo left its garbage to be looked at; while any letter waits, another one makes nothing fire.
        self._discard_letters()
        self._stage.report.demand(self._siren.fires("DagPaused", dag_id=INTAKE), "a paused intake was told")
        for group in (self._small(), self._broker(), self._every_replica(), self._rollback()):
            self._stage.act(f"Made to fire, then mended: {', '.join(alarm.alert for alarm in group)}")
            seen |= self._play(group)
        self._stage.report.record(alerts=seen)

    def _play(self, group: Sequence[Alarm]) -> dict[str, str]:
        demand = self._stage.report.demand
        for alarm in group:
            demand(self._siren.is_silent(alarm.alert, **alarm.labels), f"nothing but the drill made {alarm.alert} fire")
        with ExitStack() as mending:
            for alarm in group:
                mending.callback(alarm.mend)
                alarm.make()
            fired = {alarm.alert: self._siren.fires(alarm.alert, **alarm.labels) for alarm in group}
        ended = {alarm.alert: self._siren.is_silent(alarm.alert, **alarm.labels) for alarm in group}
        for alert, did in fired.items():
            demand(did, f"{alert} fired")
            demand(ended[alert], f"{alert} was over when its cause was")
        return {alert: "fired, over" if did and ended[alert] else "missed" for alert, did in fired.items()}

    # What is made

    def _small(self) -> list[Alarm]:
        return [
            Alarm("DeadLetters", self._leave_a_letter, self._discard_letters),
            Alarm(
                "DagPaused",
                lambda: self._stage.airflow.pause(_PAUSED),
                lambda: self._stage.airflow.unpause(_PAUSED),
                labels={"dag_id": _PAUSED},
            ),
            self._without("ReplicaDown", "faceserve_2"),
        ]

    def _broker(self) -> list[Alarm]:
        return [
            replace(self._without("SourceAway", "rabbitmq"), labels={"source": "broker"}),
            # Made and unmade while nobody can publish it.
            Alarm("OutboxOld", lambda: self._mlops(_OLD_EVENT), lambda: self._mlops(_NO_EVENT)),
        ]

    def _every_replica(self) -> list[Alarm]:
        return [self._without("NoReplicaServes", "faceserve_1", "faceserve_2")]

    def _rollback(self) -> list[Alarm]:
        return [Alarm("RollbackFailed", self._roll_back_nobody, self._there_and_back, labels={"model": "laundry"})]

    def _roll_back_nobody(self) -> None:
        """Asked for while no replica answers; once they are back, the log knows that it came to nothing."""
        replicas = self._without("", "faceserve_1", "faceserve_2")
        replicas.make()
        try:
            self._roll_back("previous", "nobody")
        except TryAgain as error:
            self._stage.say(f"the rollback failed: {error}")
        finally:
            replicas.mend()
        self._reconciled()

    def _there_and_back(self) -> None:
        """A rollback that serves; what served before is the champion again."""
        champion = self._pipeline.rollback_plan("LAUNDRY", "previous")["from_version"]
        self._roll_back("previous", "there")
        self._roll_back(champion, "back")

    def _roll_back(self, target: str, name: str) -> None:
        request_id = f"drill-alarm-{name}-{time.time_ns()}"
        asked = RollbackRequest(target, datetime.now(UTC))
        self._pipeline.roll_back("LAUNDRY", asked, "drill", "drill: an alarm is tried", request_id)

    def _reconciled(self) -> None:
        def complete() -> bool:
            try:
                return not self._pipeline.reconcile("LAUNDRY")["missing"]
            except TryAgain:
                return False

        self._stage.wait(complete, "every replica to serve again", _ENDS_SECONDS)

    def _without(self, alert: str, *names: str) -> Alarm:
        """Programs are stopped, and started again."""
        every = {p.name: p for service in all_services(self._stage.stack) for p in service.programs}

        def stop() -> None:
            for name in names:
                self._supervision.stop(name)

        def start() -> None:
            for name in names:
                self._supervision.start(every[name])

        return Alarm(alert, stop, start)

    def _leave_a_letter(self) -> None:
        Mischief(self._stage.stack.amqp_url).leave_a_dead_letter(_REASON)

    def _discard_letters(self) -> None:
        """The drill's and the demo's; anybody else's are looked at by people."""
        letters = self._pipeline.dead_letters
        for letter in letters.all():
            if letter.reason == _REASON or letter.body in GARBAGE:
                letters.discard(letter.id)

    def _mlops(self, sql: str) -> None:
        query(self._stage.stack.dsn("mlops", "mlops"), sql)
