"""What people, DAGs and the monitor ask for, as values that can be asked again."""

from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.domain.ledger import PREVIOUS, RollbackRequest
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.pruning import PruningPolicy
from pipeline.domain.retention import RetentionPolicy
from pipeline.domain.rollout import CanaryPolicy
from pipeline.domain.transitions import By, TrialOf
from pipeline.steps.abort_canary import abort_canary
from pipeline.steps.announce_failed_rollback import announce_failed_rollback
from pipeline.steps.answer_held import approve_unless_pruned, refuse
from pipeline.steps.clear_freeze import clear_freeze
from pipeline.steps.conclude_deployment import announce_failed_swap, conclude_deployment
from pipeline.steps.force_promote import force_promote
from pipeline.steps.hot_swap import hot_swap
from pipeline.steps.judge_canary import judge_canary
from pipeline.steps.plan_rollback import plan_rollback
from pipeline.steps.promote_canary import promote_canary
from pipeline.steps.prune import prune
from pipeline.steps.reconcile import reconcile
from pipeline.steps.restore import restore
from pipeline.steps.retire import retire
from pipeline.steps.roll_back import roll_back
from pipeline.steps.start_canary import start_canary
from pipeline.steps.watch import watch
from tests.unit.pipeline.steps.live_world import ARCHIVE, LAUNDRY

MONITOR = "live_accuracy_monitor"
ACCURACY = LiveAccuracyPolicy(matured_minutes=0)
NOTHING_REFUSED_STAYS = PruningPolicy(keep_refused_days=0, keep_unanswered_days=0)


@dataclass(frozen=True)
class Request:
    """`kind` names the act, `of` a version, a run or `previous`; `judged` the champion that the monitor condemns.

    `begun_by` is the request whose trial a DAG run means; a person's command means whichever there is. `instead_of` is
    the champion that a question named, `freeze` the one that somebody saw, `proven` a trial that was said to be good.
    """

    kind: str
    of: str
    id: str
    at: datetime
    judged: str | None = None
    begun_by: str | None = None
    instead_of: str | None = None
    freeze: str | None = None
    proven: bool = False

    @property
    def meant(self) -> TrialOf:
        return TrialOf(self.of, self.begun_by)

    @property
    def by(self) -> By:
        return By(MONITOR if self.judged else "kim", f"reason of {self.id}", self.id)

    def run(self, world, fault):
        return _ACTS[self.kind](world, world.deployment(fault), fault, self)


def _promote(world, d, fault, r):
    return hot_swap(d, LAUNDRY, r.of, r.by)


def _start(world, d, fault, r):
    return start_canary(d, LAUNDRY, r.of, 10, r.by)


def _judge(world, d, fault, r):
    policy = CanaryPolicy().after_proof() if r.proven else CanaryPolicy()
    return judge_canary(d, fault.on(world.metrics), LAUNDRY, r.meant, policy)


def _promote_canary(world, d, fault, r):
    return promote_canary(d, LAUNDRY, r.of, r.by)


def _abort(world, d, fault, r):
    return abort_canary(d, LAUNDRY, r.meant, r.by)


def _force(world, d, fault, r):
    return force_promote(d, world.registration(fault), LAUNDRY, r.of, r.by)


def _approve(world, d, fault, r):
    return approve_unless_pruned(replace(world.pruning(fault), blessings=d.blessings), r.of, r.by)


def _refuse(world, d, fault, r):
    return refuse(r.of, r.by, blessings=d.blessings, clock=world.clock)


def _prune(world, d, fault, r):
    return prune(world.pruning(fault), LAUNDRY, NOTHING_REFUSED_STAYS, dry_run=False)


def _asked(r):
    return RollbackRequest(r.of, r.at, r.judged, r.instead_of)


def _roll_back(world, d, fault, r):
    return roll_back(d, LAUNDRY, _asked(r), r.by)


def _announce_rollback(world, d, fault, r):
    return announce_failed_rollback(d, LAUNDRY, _asked(r), r.by)


def _plan(world, d, fault, r):
    return plan_rollback(d.transitions, LAUNDRY, r.of)


def _watch(world, d, fault, r):
    """What the monitor does in one run: it looks, and acts on what it decided."""
    seen = watch(world.monitoring(fault), LAUNDRY, ACCURACY)
    if seen is None or not seen.decision.act:
        return seen
    asked = RollbackRequest(seen.decision.target, r.at, seen.reading.version)
    return roll_back(d, LAUNDRY, asked, By(MONITOR, seen.decision.reason, r.id))


def _clear(world, d, fault, r):
    return clear_freeze(d.transitions, LAUNDRY, r.by, world.clock, r.freeze)


def _retire(world, d, fault, r):
    return retire(world.keeping(fault), LAUNDRY, RetentionPolicy(1), r.by, ARCHIVE)


def _restore(world, d, fault, r):
    return restore(world.keeping(fault), LAUNDRY, r.of, r.by, ARCHIVE)


def _reconcile(world, d, fault, r):
    return reconcile(d, LAUNDRY)


def _conclude(world, d, fault, r):
    return conclude_deployment(d, world.versions.get(LAUNDRY, r.of).run_id)


def _announce(world, d, fault, r):
    return announce_failed_swap(d, LAUNDRY, r.of, r.by)


_ACTS = {
    "promote": _promote,
    "start canary": _start,
    "judge canary": _judge,
    "promote canary": _promote_canary,
    "abort canary": _abort,
    "force": _force,
    "approve": _approve,
    "refuse": _refuse,
    "prune": _prune,
    "roll back": _roll_back,
    "plan rollback": _plan,
    "watch": _watch,
    "clear freeze": _clear,
    "retire": _retire,
    "restore": _restore,
    "reconcile": _reconcile,
    "conclude": _conclude,
    "announce failure": _announce,
    "announce failed rollback": _announce_rollback,
}
KINDS = tuple(_ACTS)

__all__ = ["KINDS", "PREVIOUS", "Request"]
