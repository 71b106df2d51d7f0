"""What an HTTP door promises in its OpenAPI, and requests drawn from that which hold it to its word.

`make fuzz` draws FUZZ_EXAMPLES for each operation.
"""

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.corpus.fuzz import drawn

RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
DRAWN = drawn(3)
_PROMISES = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Said on purpose; all others of the fives are accidents.
_DELIBERATE = {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
_FAILED, _REFUSED = 500, 400


def hold(description: Mapping[str, Any], url: str, mode: GenerationMode, known: Mapping[str, str]) -> Counter[int]:
    """How often each status was answered. `known` are parts of paths that lead somewhere, by their names.

    In mode `RIGHT` requests are as the description says, in mode `WRONG` they are not.
    """
    answered: Counter[int] = Counter()
    with requests.Session() as session:
        for found in schemathesis.openapi.from_dict(dict(description)).get_all_operations():
            operation = found.ok()
            # A path alone is a name of something, or of nothing.
            if mode is RIGHT or operation.query or operation.body:
                _hold(operation, session, url, _Asked(mode, known, answered))
    return answered


def bodies(description: Mapping[str, Any], path: str) -> Any:
    """Bodies of a POST to `path` that are as the description says."""
    operation = schemathesis.openapi.from_dict(dict(description))[path]["POST"]
    return operation.as_strategy(RIGHT, feedback=FeedbackSources()).map(lambda case: case.body)


class _Asked:
    def __init__(self, mode: GenerationMode, known: Mapping[str, str], answered: Counter[int]) -> None:
        self.mode, self.known, self.answered = mode, known, answered

    def cases(self, operation: schemathesis.APIOperation) -> Any:
        """Half of them about something that is there."""
        there = {name: value for name, value in self.known.items() if f"{{{name}}}" in operation.path}
        drawn = [operation.as_strategy(self.mode, feedback=FeedbackSources())]
        if there:
            drawn.append(operation.as_strategy(self.mode, feedback=FeedbackSources(), path_parameters=there))
        return st.one_of(drawn)


def _hold(operation: schemathesis.APIOperation, session: requests.Session, url: str, asked: _Asked) -> None:
    @DRAWN
    @given(case=asked.cases(operation))
    def answers(case: schemathesis.Case) -> None:
        answer = case.call(base_url=url, session=session, timeout=60)
        asked.answered[answer.status_code] += 1
        said = f"{operation.label}: {answer.status_code} {answer.content[:300]!r}"
        assert answer.status_code < _FAILED or answer.status_code in _DELIBERATE, said
        case.validate_response(answer, checks=_PROMISES)
        assert answer.status_code < _REFUSED or _explained(answer.json()), said

    answers()


def _explained(body: Any) -> bool:
    """A sentence, or one for each part of the request that is wrong; a probe says what is not so."""
    if "ready" in body:
        return body["ready"] is False
    detail = body.get("error", body.get("detail"))
    sentences = [one["msg"] for one in detail] if isinstance(detail, list) else [detail]
    return bool(sentences) and all(isinstance(one, str) and " " in one for one in sentences)
