"""Make fleet, `model_versions` and registry say what the transition log says (invariant I4; design D11, D13)."""

from dataclasses import dataclass

from pipeline.domain.models import ModelType, rollback_target
from pipeline.ports.deployment import ModelRegistry, ModelVersions, ServingFleet, Transitions


@dataclass(frozen=True)
class Reconciled:
    """`champion` by the log; what was wrong: replicas, rows of `model_versions`, versions the registry lacked."""

    champion: str | None
    repaired: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    registered: tuple[str, ...] = ()


def reconcile(
    model_type: ModelType,
    *,
    versions: ModelVersions,
    transitions: Transitions,
    fleet: ServingFleet,
    registry: ModelRegistry,
) -> Reconciled:
    """Raises what the fleet or registry raised; run again later."""
    with transitions.exclusive(model_type):
        served = list(transitions.served(model_type))
        if not served:
            return Reconciled(None)
        champion = versions.get(model_type, served[-1].to_version)
        rows = tuple(transitions.project(model_type))
        astray = tuple(s.replica for s in fleet.serving(model_type) if s.version != champion.version)
        if astray:
            fleet.swap(model_type, champion.version, champion.artifact)
        previous = rollback_target(served)
        named = [versions.get(model_type, previous)] if previous else []
        missing = registry.missing([*named, champion])
        for version in missing:
            registry.register(version, None)
        registry.mirror(model_type, champion=champion.version, previous=previous)
        return Reconciled(champion.version, astray, rows, tuple(v.version for v in missing))
