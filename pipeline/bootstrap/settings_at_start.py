"""Reports wrong settings before anything starts, not in the first task that needs one."""

import logging
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import Literal, NamedTuple

from pipeline.domain.cheap_hours import CheapHours
from pipeline.domain.errors import GiveUp
from pipeline.domain.training_pod import TrainingPod
from pipeline.settings import Settings
from pipeline.settings.elsewhere import NOWHERE, Elsewhere
from pipeline.settings.strangers import strangers
from pipeline.settings.variables import variables

log = logging.getLogger(__name__)

# Called with the names of the variables that are not set; answers for those that it knows.
Ask = Callable[[Collection[str]], Elsewhere]
# What DAG files read besides the pod; they may ask only the environment.
_READ_BY_DAGS = {"RETRAIN_CHEAP_FROM", "RETRAIN_CHEAP_UNTIL", "RETRAIN_CHEAP_ZONE"}
# Enough for a schedule of every minute over a week.
_MOMENTS, _YEAR_SECONDS = 8000, 366 * 86400.0


class Places(NamedTuple):
    """Whether there are workers besides the scheduler's own, or pods, and how many slices of photos are prepared at
    once.
    """

    distributed: bool
    slices_at_once: int
    in_pods: bool = False


def nobody(_unset: Collection[str]) -> Elsewhere:
    return NOWHERE


def asked(ask: Ask) -> Elsewhere:
    """What `ask` says of the variables that are not set."""
    return ask({variable.name for variable in variables(Settings) if variable.raw is None})


def thresholds() -> frozenset[str]:
    """Names of the variables by which policies decide, and which may change from one task to the next."""
    of_policies = (v for v in variables(Settings) if len(v.path) > 1 and v.path[0] != "training_pod")
    return frozenset({*(v.name for v in of_policies), "RETRAIN_INCONCLUSIVE"} - _READ_BY_DAGS)


def demand_settings() -> None:
    """Raises `GiveUp` with a sentence for each variable that is wrong; what is no setting is warned of."""
    Settings()
    for sentence in unknown_settings():
        log.warning("%s", sentence)


def unknown_settings() -> list[str]:
    """A sentence for each variable that looks like a setting and is none."""
    return strangers(variables(Settings))


def log_format() -> Literal["text", "json"]:
    """How to log; where settings are refused, the text says so."""
    try:
        return Settings().log_format
    except GiveUp:
        return "text"


def monitor_schedule() -> str:
    """When the monitor looks (cron, UTC), as its DAG reads it.

    Should Airflow have been started with refused settings, the default holds: a DAG that cannot be read would silently
    vanish from Airflow, while tasks can say which setting is refused.
    """
    try:
        return Settings().monitor_schedule
    except GiveUp as error:
        default = str(Settings.model_fields["monitor_schedule"].default)
        log.warning("%s; the monitor looks at %s", error, default)
        return default


@cache
def longest_gap_seconds(schedule: str) -> float:
    """The longest time between two consecutive moments of a cron expression (UTC); a year for rarer ones."""
    from croniter import croniter

    end = time.time() + _YEAR_SECONDS
    moments = takewhile(lambda at: at < end, islice(croniter(schedule, datetime.now(UTC)).all_next(float), _MOMENTS))
    return max((later - earlier for earlier, later in pairwise(moments)), default=_YEAR_SECONDS)


def cheap_hours() -> CheapHours:
    """When what can wait begins, as the DAG of a retraining reads it; as `monitor_schedule`."""
    try:
        return Settings().retraining.cheap
    except GiveUp as error:
        log.warning("%s; cheap are %s", error, CheapHours())
        return CheapHours()


def places() -> Places:
    """Where tasks run, as DAGs read it; as `monitor_schedule`."""
    try:
        settings = Settings()
    except GiveUp as error:
        log.warning("%s; tasks run beside the scheduler", error)
        return Places(distributed=False, slices_at_once=Settings.model_fields["slices_at_once"].default)
    chosen = settings.executor
    return Places(chosen == "celery", settings.slices_at_once, in_pods=chosen == "kubernetes")


def training_pod() -> TrainingPod:
    """What a training pod asks for, as the DAG of a retraining reads it; as `monitor_schedule`."""
    try:
        return Settings().training_pod
    except GiveUp as error:
        log.warning("%s; a training pod is %s", error, TrainingPod())
        return TrainingPod()
