"""Find out how a retraining run's deployment ended, and leave nothing of it half done."""

from pipeline.domain.history import History
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import HotSwapFailedEvent, HotSwapUnconfirmedEvent
from pipeline.domain.retraining import RunOutcome
from pipeline.domain.transitions import By, CanaryAbort, CanaryStart, TrialOf
from pipeline.ports.bundles import Deployment
from pipeline.steps.abort_canary import abort_canary
from pipeline.steps.settle import settle, warm


def conclude_deployment(d: Deployment, run_id: str) -> RunOutcome:
    """What became of the run's version; a trial that this run began does not outlive it.

    Raises `ServiceUnavailable` while a replica may still try the run's version.
    """
    found = d.versions.of_run(run_id)
    if found is None:
        return RunOutcome.FAILED
    ledger = d.transitions.ledger(found.model_type)
    if any(act.version == found.version for act in ledger.unsettled):
        with d.transitions.preparing(found.model_type):
            loaded = warm(d, found.model_type)
            with d.transitions.exclusive(found.model_type):
                ledger = settle(d, d.transitions.ledger(found.model_type), loaded)
    trial, over = ledger.trial, By(f"run {run_id}", "the run ended without a promotion", run_id)
    # A trial that somebody else began goes on, and so does the trial of an earlier champion.
    if trial is not None and trial.by.run == run_id and _ended(ledger, found.version) is not RunOutcome.DEPLOYED:
        abort_canary(d, found.model_type, TrialOf(found.version, trial.by.request_id), over)
        # Somebody may have promoted it just before.
        ledger = d.transitions.ledger(found.model_type)
    return _ended(ledger, found.version)


def _ended(history: History, version: str) -> RunOutcome:
    if any(change.version == version for change in history.changes):
        return RunOutcome.DEPLOYED
    if any(act.version == version for act in history.unsettled):
        return RunOutcome.UNCONFIRMED
    return RunOutcome.CANARY_ABORTED if history.aborted(version) else RunOutcome.FAILED


def announce_failed_swap(d: Deployment, model_type: ModelType, version: str, by: By) -> None:
    """Tell that an accepted version did not go live, and what serves instead, as far as anybody knows.

    `by.reason` is what went wrong. A canary that was aborted has said so itself, and a version that serves needs no
    news of a failure, whatever failed after it.
    """
    history = d.transitions.ledger(model_type)
    did_serve = any((act.version, act.by.request_id) == (version, by.request_id) for act in history.changes)
    if version == history.champion or _told_by_its_abort(history, version, by) or did_serve:
        return
    event = (HotSwapUnconfirmedEvent if history.unsettled else HotSwapFailedEvent)(
        # A task that is cleared and fails again tells it again.
        id=f"hot-swap-failed:{model_type}:{version}:{by.request_id}:{history.position}",
        model_type=model_type,
        model_version=version,
        champion=history.champion,
        reason=by.reason if history.trial is None else f"{by.reason}; {_on_trial(history.trial)}",
        at=d.clock.now(),
    )
    d.outbox.add(event.outgoing())


def _told_by_its_abort(history: History, version: str, by: By) -> bool:
    """Whether the last thing that happened to `version` is the abort of a trial that the same run began."""
    last = next((entry.act for entry in reversed(history.entries) if entry.act.version == version), None)
    if not isinstance(last, CanaryAbort):
        return False
    return any(entry.act.id == last.trial_id and entry.act.by.run == by.run for entry in history.entries)


def _on_trial(trial: CanaryStart) -> str:
    kind = trial.model_type
    abort = f"`python -m pipeline abort-canary {trial.version} --model-type {kind} --actor YOU --reason WHY`"
    return f"{trial.version} still gets its share of the requests: promote it, or {abort}"
