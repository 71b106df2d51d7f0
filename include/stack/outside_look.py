"""A look at Airflow from outside, because a broken Airflow tells nobody."""

from datetime import datetime, timedelta

from include.stack.airflow_api import AirflowApi, AirflowError

_WATCHMAN = "live_accuracy_monitor"


def faults(airflow: AirflowApi, *, now: datetime, patience: timedelta) -> list[str]:
    """A sentence for every part that is ill, every DAG file that cannot be read, and a monitor that stopped looking.

    Empty when all is well. `patience` is how long ago the monitor's last look may be.
    """
    found: list[str] = []
    try:
        found += [f"Airflow's {part} is {state}" for part, state in airflow.health().items() if state != "healthy"]
        found += [f"{file} cannot be read: {why}" for file, why in airflow.import_errors().items()]
        looked = airflow.last_success(_WATCHMAN)
    except AirflowError as error:
        return [*found, str(error)]
    if looked is None:
        found.append(f"{_WATCHMAN} never looked")
    elif now - looked > patience:
        found.append(f"{_WATCHMAN} looked last at {looked.isoformat(timespec='minutes')}")
    return found
