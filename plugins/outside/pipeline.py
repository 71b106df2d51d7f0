"""The pipeline with the settings that Airflow gives: the only place that decides where a value comes from.

The environment, then Airflow's connection or variable, then the default.
"""

import json
import time
from collections.abc import Collection, Mapping, Set
from functools import lru_cache
from typing import Any

from plugins.outside.connections import SOURCES, NotUsable, Source
from plugins.outside.finding import NobodyKnows, find_connection, find_variable

THRESHOLDS = "retraining_thresholds"
_PREFIX = "RETRAIN_"
# A task asks several times; a change takes effect within a minute.
_KEPT_SECONDS = 60.0


def open_pipeline() -> Any:
    """Raises `GiveUp` naming the connection that is missing or wrong, `TryAgain` when a place did not answer."""
    from pipeline.bootstrap import Pipeline

    return Pipeline.from_env(ask_airflow)


def open_face_pipeline() -> Any:
    """As `open_pipeline`."""
    from pipeline.bootstrap.faces import FacePipeline

    return FacePipeline.from_env(ask_airflow)


def forget() -> None:
    """Ask again, also within the minute."""
    _values.cache_clear()
    _thresholds.cache_clear()


def variables_beside() -> dict[str, str]:
    """Airflow's values as environment variables for a child process; secrets are among them."""
    from pipeline.bootstrap.settings_at_start import asked

    return {name: found.raw for name, found in asked(ask_airflow).items()}


def thresholds_beside() -> dict[str, str]:
    """The thresholds among these, without secrets, for a pod that reaches the outside world by itself."""
    from pipeline.bootstrap.settings_at_start import thresholds

    return {name: raw for name, raw in variables_beside().items() if name in thresholds()}


def ask_airflow(unset: Collection[str]) -> Mapping[str, Any]:
    """What Airflow knows of settings that the environment does not have, each with its place."""
    from pipeline.bootstrap import Outside, TryAgain

    minute, found = int(time.monotonic() / _KEPT_SECONDS), dict[str, Outside]()
    try:
        for source in SOURCES:
            place = f"connection {source.conn_id}"
            found |= {name: Outside(raw, place) for name, raw in _wanted(source, set(unset), minute).items()}
        place = f"variable {THRESHOLDS}"
        found |= {name: Outside(raw, place) for name, raw in _thresholds(minute).items() if name in unset}
    except NobodyKnows as error:
        raise TryAgain(f"Airflow could not look up {error}: {type(error.__cause__).__name__}") from error
    return found


def _wanted(source: Source, unset: Set[str], minute: int) -> Mapping[str, str]:
    from pipeline.bootstrap import GiveUp

    if not (wanted := source.wanted(unset)):
        return {}
    values = _values(source, minute)
    if values is None and source.needed and wanted.issuperset(source.gives):
        raise GiveUp(f"Airflow has no connection {source.conn_id}, and {' and '.join(source.gives)} is not set")
    return {name: raw for name, raw in (values or {}).items() if name in wanted}


@lru_cache(maxsize=len(SOURCES))
def _values(source: Source, _minute: int) -> Mapping[str, str] | None:
    """None where there is no such connection."""
    from pipeline.bootstrap import GiveUp

    connection = find_connection(source.conn_id)
    try:
        return source.values(connection) if connection is not None else None
    except NotUsable as error:
        raise GiveUp(f"connection {source.conn_id} {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever a provider raises, its text may hold a secret
        raise GiveUp(f"connection {source.conn_id} cannot be used ({type(error).__name__})") from None


@lru_cache(maxsize=1)
def _thresholds(_minute: int) -> Mapping[str, str]:
    """The variable is a JSON object, such as `{"min_corrections": 200}`."""
    from pipeline.bootstrap import GiveUp
    from pipeline.bootstrap.settings_at_start import thresholds

    text, known = find_variable(THRESHOLDS), thresholds()
    try:
        named = json.loads(text) if text else {}
    except ValueError as error:
        raise GiveUp(f"variable {THRESHOLDS} is no JSON: {error}") from None
    if not isinstance(named, dict):
        raise GiveUp(f'variable {THRESHOLDS} is no JSON object such as {{"min_corrections": 200}}')
    values = {_PREFIX + name.upper().removeprefix(_PREFIX): value for name, value in named.items()}
    if strangers := sorted(values.keys() - known):
        raise GiveUp(f"variable {THRESHOLDS} names {', '.join(strangers)}, which is no threshold that a task reads")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
