"""Which steps leave a span, and in which trace; what their lines in the log are about."""

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from include.contract.log_lines import saying

# Steps in the trace of a run: the one they are given, or that collected their dataset, or made their version.
OF_A_RUN = (
    "collect",
    "collect_first",
    "validate",
    "augment_slice",
    "assemble",
    "train",
    "verify_accuracy",
    "verify_performance",
    "decide",
    "register",
    "hot_swap",
    "start_canary",
    "promote_canary",
    "abort_canary",
    "finish_run",
)
# The same where faces are learned.
OF_A_FACE_RUN = ("collect_folder", "collect", "learn", "judge", "register", "hot_swap", "finish_run")
# Steps with a trace of their own: what happens to versions that already serve.
ALONE = ("force_promote", "roll_back", "complete_rollback")
# Attributes are ids and versions; never who asks, or why.
_SAID = ("run_id", "model_type", "dataset_id", "version", "wanted", "target", "request_id")
# Attributes from a step's answer.
_FOUND = {
    "collect": "dataset_id",
    "collect_first": "dataset_id",
    "collect_folder": "dataset_id",
    "register": "version",
}

_Class = TypeVar("_Class")
_Step = Callable[..., Any]


def traced(cls: type[_Class]) -> type[_Class]:
    return _with_spans(cls, OF_A_RUN)


def traced_faces(cls: type[_Class]) -> type[_Class]:
    return _with_spans(cls, OF_A_FACE_RUN)


def _with_spans(cls: type[_Class], of_a_run: Sequence[str]) -> type[_Class]:
    for name in of_a_run:
        setattr(cls, name, _traced(getattr(cls, name), of_a_run=True))
    for name in ALONE:
        setattr(cls, name, _traced(getattr(cls, name), of_a_run=False))
    cls.begin_run = _begun(cls.begin_run)  # type: ignore[attr-defined]
    return cls


def _traced(step: _Step, *, of_a_run: bool) -> _Step:
    name, signature = step.__name__, inspect.signature(step)

    @functools.wraps(step)
    def with_span(pipeline: Any, *args: Any, **values: Any) -> Any:
        about = _about(signature.bind(pipeline, *args, **values).arguments)
        with saying(about):
            return spanned(pipeline, about, lambda: step(pipeline, *args, **values))

    def spanned(pipeline: Any, about: dict[str, str], act: Callable[[], Any]) -> Any:
        traces = pipeline._w.traces  # noqa: SLF001 - it is one of the class's own methods
        if not traces.spans.on:
            return act()
        run = traces.run_of(**_key(about)) if of_a_run else None
        with traces.step(name, run, _attributes(about)) as span:
            found = act()
            if name in _FOUND:
                key = _FOUND[name]
                # Of faces more is told of a dataset than its number.
                about[key] = str(found[key] if isinstance(found, Mapping) else found)
                span.set_attributes(_attributes(about))
            if _FOUND.get(name) == "dataset_id":
                traces.collected(about["dataset_id"], span, _attributes(about))
            return found

    return with_span


def _begun(begin_run: _Step) -> _Step:
    """The first span of a run's trace, once the run has really begun."""
    signature = inspect.signature(begin_run)

    @functools.wraps(begin_run)
    def with_span(pipeline: Any, *args: Any, **values: Any) -> Any:
        began_ns, answer = time.time_ns(), begin_run(pipeline, *args, **values)
        traces = pipeline._w.traces  # noqa: SLF001 - as above
        if traces.spans.on and answer["due"] and answer["rule"] != "claimed":
            about = _about(signature.bind(pipeline, *args, **values).arguments)
            traces.begin(
                about["run_id"], began_ns=began_ns, said={**_attributes(about), "retraining.rule": answer["rule"]}
            )
            traces.spans.flush()
        return answer

    return with_span


def _about(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {name: arguments[name] for name in _SAID if isinstance(arguments.get(name), str)}


def _key(about: Mapping[str, str]) -> dict[str, str]:
    return {name: about[name] for name in ("run_id", "dataset_id", "model_type", "version") if name in about}


def _attributes(about: Mapping[str, str]) -> dict[str, str]:
    return {f"retraining.{name}": value for name, value in about.items()}
