"""How a change of champion is told to whoever asked for it."""

from typing import Any

from pipeline.steps.change_champion import ChangedChampion


def as_changed(changed: ChangedChampion) -> dict[str, Any]:
    return {
        "version": changed.transition.to_version,
        "previous_version": changed.transition.from_version,
        "deploy_seconds": round(changed.seconds, 3),
        "swap_milliseconds_max": changed.swap.swap_milliseconds_max if changed.swap else None,
        "replicas": [s.replica for s in changed.swap.replicas] if changed.swap else [],
    }
