"""The pipeline as DAGs and plugins use it: keeps what was asked, answers what a test put ready."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from pipeline.bootstrap import Pipeline
from pipeline.domain.intake import IntakePolicy

CHANGED = {
    "version": "v1.1.0",
    "previous_version": "v1.0.0",
    "deploy_seconds": 1.0,
    "swap_milliseconds_max": 2.0,
    "replicas": ["replica-1", "replica-2"],
    "skipped": [],
    "serves_now": "v1.1.0",
    "registry_is_behind": False,
}
PLAN = {
    "version": "v1.1.3",
    "from_version": "v1.2.0",
    "question": "Roll LAUNDRY back from v1.2.0 to v1.1.3, which served until 2026-05-04 06:11 UTC?",
}

_BESIDE = frozenset({"untold", "announce_question", "announce_lapse", "attended", "said_to_live"})


class Turns(list[Any]):
    """Answers one after the other; the last one stays."""

    def next(self) -> Any:
        return self.pop(0) if len(self) > 1 else self[0]


class Desk:
    """Takes a call only as `of` would.

    `asked` holds (method, positional arguments, named arguments), oldest first.
    `answers` by method: a value, what makes one of the arguments, an exception to raise, or `Turns` of them.
    """

    def __init__(self, of: type[Any] = Pipeline, **answers: Any) -> None:
        self._of = of
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            **dict.fromkeys(("hot_swap", "promote_canary", "force_promote"), CHANGED),
            "judge_canary": {"decision": "promote", "reason": "93/100 right"},
            "roll_back": {**CHANGED, "missing": []},
            "rollback_plan": PLAN,
            "worth_an_intake": IntakePolicy(enough_messages=1).worth_a_run,
            "publish_events": 3,
            "untold": [],
            "told": None,
            "telling": nullcontext(True),
            "attended": nullcontext(),
            "said_to_live": nullcontext(),
            **answers,
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self.answer, name)

    def answer(self, name: str, /, *values: Any, **named: Any) -> Any:
        inspect.signature(getattr(object.__new__(self._of), name)).bind(*values, **named)
        self.asked.append((name, values, named))
        answer = self.answers.get(name, f"the answer of {name}")
        answer = answer.next() if isinstance(answer, Turns) else answer
        answer = answer(*values, **named) if callable(answer) else answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def names(self) -> list[str]:
        """What was asked, without looking for people to tell, and without what they hear of questions, or that a
        process lives.
        """
        return [name for name, *_ in self.asked if name not in _BESIDE]

    def only(self, name: str) -> tuple[Any, ...]:
        """Arguments of the one call of `name`; named ones follow as (name, value)."""
        ((values, named),) = [(v, n) for asked, v, n in self.asked if asked == name]
        return (*values, *named.items())
