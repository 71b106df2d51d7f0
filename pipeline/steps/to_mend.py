"""Faults in the deployment of one model type that somebody has to mend, whatever a look at the champion says."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pipeline.domain.history import History


def to_mend(history: History, now: datetime, trial_hours: float) -> list[str]:
    """Sentences: a rollback that failed or is incomplete, a registry that is behind, a change of which nobody knows
    whether it came true, and a trial that is older than so many hours.
    """
    return [*_of_changes(history), *_of_trial(history, now, trial_hours)]


def _of_trial(history: History, now: datetime, trial_hours: float) -> Iterator[str]:
    trial, since = history.trial, history.trial_since
    if trial is not None and since is not None and now - since > timedelta(hours=trial_hours):
        yield f"{trial.version} is on trial since {since:%Y-%m-%d %H:%M} UTC and nobody judges it: abort it"


def _of_changes(history: History) -> Iterator[str]:
    if (incomplete := history.incomplete) is not None:
        yield f"not every replica came back to {incomplete.act.version}: {incomplete.detail}"
    if history.registry_is_behind:
        yield f"the registry was not seen to name {history.champion}: a new replica may serve another one"
    if (failed := history.failed_rollback) is not None:
        yield f"the rollback to {failed.act.version} failed and was not repeated: {failed.detail}"
    for act in history.unsettled:
        yield f"nobody knows yet what came of {act.version}, asked for by {act.by.actor} ({act.by.reason})"
