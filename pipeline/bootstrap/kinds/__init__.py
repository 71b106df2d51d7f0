"""Model types that are complete, each with what makes it one (design D24): a third is a module here and a row.

A type without a row has no DAG, is no choice in a form, and is refused with a sentence everywhere else.
"""

from collections.abc import Callable

from pipeline.bootstrap.kinds.kind import ModelKind
from pipeline.bootstrap.kinds.laundry import Laundry
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType

KINDS: dict[ModelType, Callable[[Wiring], ModelKind]] = {ModelType.LAUNDRY: Laundry}
# Made and retrained in another way (`pipeline.bootstrap.faces`); deployed, watched and rolled back like any other.
MADE_ELSEWHERE = frozenset({ModelType.FACE})
# What a task of the Helper service shows.
OF_HELPER_TASKS = ModelType.LAUNDRY


def model_types() -> tuple[str, ...]:
    """Names of the complete types; the first one is meant where nobody names any."""
    return tuple(map(str, KINDS))


def served_types() -> tuple[str, ...]:
    """Names of those and of the types whose models are made in another way."""
    return (*model_types(), *(str(one) for one in sorted(MADE_ELSEWHERE) if one not in KINDS))


def complete(model_type: str) -> ModelType:
    """Raises `GiveUp` for one that is not."""
    found = next((one for one in KINDS if one == model_type), None)
    if found is None:
        raise GiveUp(refusal(model_type))
    return found


def served(model_type: str) -> ModelType:
    """A type whose versions may go live and back: a complete one, or one that is made elsewhere. Raises `GiveUp` for
    others.
    """
    return next((one for one in MADE_ELSEWHERE if one == model_type), None) or complete(model_type)


def refusal(model_type: str) -> str:
    """Why nothing is done about models of this type."""
    there_are = f"choose one of: {', '.join(model_types())}"
    if model_type in tuple(ModelType):
        return (
            f"{model_type} models are not complete in this build: none is retrained here or tried on few requests, "
            f"because what is missing would be another model type's{_where_made(model_type)}; {there_are}"
        )
    return f"{model_type[:40]!r} is no model type; {there_are}"


def _where_made(model_type: str) -> str:
    return (
        " (`python -m pipeline face-model FOLDER --run-id NAME` makes one, "
        "`python -m pipeline face-retraining` the next)"
        if model_type in MADE_ELSEWHERE
        else ""
    )


class Kinds:
    """The kinds, each made once: their adapters open nothing before they are used."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring
        self._made: dict[ModelType, ModelKind] = {}

    def of(self, model_type: str) -> ModelKind:
        """Raises `GiveUp` for a type that is not complete."""
        found = complete(model_type)
        if found not in self._made:
            self._made[found] = KINDS[found](self._w)
        return self._made[found]
