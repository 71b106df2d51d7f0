"""When a DAG runs whose schedule is a setting."""

import logging
import os

from airflow.exceptions import AirflowTimetableInvalid
from airflow.sdk import CronTriggerTimetable
from airflow.timetables import trigger

log = logging.getLogger(__name__)


def timetable(variable: str, default: str) -> CronTriggerTimetable:
    """Of the cron expression in the environment, UTC. Empty counts as not set, and nonsense too: a DAG that cannot be
    read is gone from Airflow without a sound, while its tasks say which setting is refused.
    """
    wanted = os.environ.get(variable, "").strip() or default
    try:
        trigger.CronTriggerTimetable(wanted, timezone="UTC").validate()
    except (AirflowTimetableInvalid, ValueError) as error:
        log.warning("%s is %r: %s; %s instead", variable, wanted, error, default)
        wanted = default
    return CronTriggerTimetable(wanted, timezone="UTC")
