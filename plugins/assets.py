"""Datasets, versions and champions as Airflow's assets: other teams' DAGs may run when one of them changes.

Datasets and versions are outlets of the tasks that make them. Which model type's champion changes is known only when a
task runs, so these go through an alias.
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseHook, Context, get_current_context
from airflow.sdk.lineage import get_hook_lineage_collector

_GROUP = "retraining"
# Airflow's lineage needs a hook as context; nobody is told which one it was.
_TELLER = BaseHook()
CHAMPIONS = AssetAlias("retraining champions", group=_GROUP)


def dataset(model_type: str) -> Asset:
    """Changes with every dataset that is complete."""
    return _asset(model_type, "dataset")


def version(model_type: str) -> Asset:
    """Changes with every version that is registered."""
    return _asset(model_type, "version")


def champion(model_type: str) -> Asset:
    """Changes whenever another version serves, forward or back."""
    return _asset(model_type, "champion")


def promotion(model_type: str) -> Asset:
    """Changes whenever a version goes live that verification accepted, or a person forced."""
    return _asset(model_type, "promotion")


def rollback(model_type: str) -> Asset:
    """Changes whenever an earlier version is brought back."""
    return _asset(model_type, "rollback")


def describe(asset: Asset, **facts: Any) -> None:
    """What the event of this task's outlet says. OpenLineage, where it is on, tells of `uri`, where it lies."""
    get_current_context()["outlet_events"][asset].extra = facts
    if "uri" in facts:
        get_hook_lineage_collector().add_output_asset(_TELLER, uri=facts["uri"])


def announce_change(context: Context, kind: str, model_type: str, changed: Mapping[str, Any], **why: Any) -> None:
    """Of the champion; `kind` is `promotion` or `rollback`, `changed` the answer of the pipeline, `why` who and why.

    A request that was done before, while another version serves by now, changed nothing.
    """
    if changed["serves_now"] != changed["version"]:
        return
    names = ("version", "previous_version", "replicas", "missing")
    facts = {"model_type": model_type, "kind": kind, **{name: changed.get(name) for name in names}, **why}
    events = context["outlet_events"][CHAMPIONS]
    for asset in (champion(model_type), {"promotion": promotion, "rollback": rollback}[kind](model_type)):
        events.add(asset, extra=facts)


def _asset(model_type: str, what: str) -> Asset:
    # By its name alone: whoever waits for it writes nothing else, and an address would have every provider loaded.
    return Asset(f"{model_type} {what}", group=_GROUP)
