"""Requests to the stand-ins of other services, each with the status it ends with, and what the answer must say.

Tasks T-1 and T-2, whose verdict is 양호, are there, and check C-1, which looks like kim.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_NUL, _LONG = "a\0b", "x" * 129
_UNFIT, _UNREADABLE, _CONTRADICTS, _UNKNOWN, _FORBIDDEN = 422, 400, 409, 404, 403


@dataclass(frozen=True)
class Form:
    """`because` is in the answer."""

    request: str
    body: bytes = b""
    status: int = 200
    because: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


_NO_IDS: dict[str, Any] = {
    "empty": "",
    "of two words": "a b",
    "a way out": "../etc/passwd",
    "with a NUL": _NUL,
    "with a line's end": "a\n",
    "of an emoji": "🧺",
    "of another alphabet": "과제",
    "with wide digits": "T-１",
    "too long": _LONG,
    "that begins with a dash": "-a",
    "of SQL": "T-1'; DROP TABLE tasks; --",
    "null": None,
    "a number": 7,
    "a list": ["T-1"],
    "truth": True,
}
_NO_ADDRESSES: dict[str, Any] = {
    "empty": "",
    "of the web": "http://example.org/a.jpg",
    "of a file": "file:///etc/passwd",
    "without a bucket": "s3:///a.jpg",
    "without a key": "s3://tasks/",
    "a way out": "s3://tasks/../models/secret",
    "a way around": "s3://tasks/a/../b.jpg",
    "in capitals": "S3://tasks/a.jpg",
    "of a bucket with a space": "s3://ta sks/a.jpg",
    "with a NUL": "s3://tasks/a\0.jpg",
    "of a key too long": "s3://tasks/" + "a" * 1025,
    "of a bucket too long": "s3://" + "b" * 256 + "/a.jpg",
    "of a bucket of another alphabet": "s3://사진/a.jpg",
    "null": None,
    "a number": 7,
}
_NO_NAMES: dict[str, Any] = {
    "empty": "",
    "that begins with a space": " kim",
    "with a NUL": _NUL,
    "with a line's end": "kim\n",
    "of markup": "<b>kim</b>",
    "too long": "k" * 65,
    "a number": 7,
}
_NO_LABELS: dict[str, Any] = {
    "another": "보통",
    "empty": "",
    "with a space": "양호 ",
    "English": "good",
    "null": None,
    "a number": 1,
}
_NO_REASONS: dict[str, Any] = {"with a NUL": _NUL, "too long": "가" * 4001, "a number": 7, "a list": ["얼룩"]}
_REASONS: dict[str, Any] = {
    "empty": "",
    "null": None,
    "as long as may be": "가" * 4000,
    "of emoji": "🧺" * 4000,
    "of markup": "<script>alert(1)</script>",
    "of escapes": "\x1b[31m\r\nERROR forged",
    "of SQL": "'; DROP TABLE tasks; --",
}
_NO_TIMES: dict[str, Any] = {
    "a word": "yesterday",
    "empty": "",
    "without a zone": "2026-05-04T11:30:00",
    "before there was a service": "2019-12-31T23:59:59Z",
    "to come": "2970-01-01T00:00:00Z",
    "before the first year": "0001-01-01T00:00:00+14:00",
    "after the last year": "9999-12-31T23:59:59-14:00",
    "of a thirteenth month": "2026-13-04T00:00:00Z",
    "of no calendar": 10**30,
    "truth": True,
    "null": None,
}
_NO_SECONDS: dict[str, Any] = {
    "fewer than none": -1,
    "of a word": "long",
    "null": None,
    "a list": [1],
    "of 400 digits": 10**400,
}
_TASK = {"taskId": "T-9", "helperId": "H-1", "photoUrl": "s3://tasks/T-9.jpg"}
_CONFIRM = {"finalResult": "양호", "aiResult": "양호", "corrected": False}
_REVIEW = {"reviewerId": "kim", "finalResult": "양호", "reviewSeconds": 3, "shownAt": "2026-05-04T11:30:00Z"}
_CHECK = {"checkId": "C-9", "doorId": "DOOR-1", "photoUrl": "s3://tasks/C-9.jpg", "claimedIdentity": "kim"}
_WORD = {"finalResult": "same", "reviewerId": "lee"}
_JSON = {"Content-Type": "application/json"}


def _json(said: Any) -> bytes:
    return json.dumps(said).encode()


def _each(
    request: str, whole: Mapping[str, Any], name: str, values: Mapping[str, Any], status: int
) -> Iterator[tuple[str, Form]]:
    """One field with each of the values; where it is refused, the answer names it."""
    for what, value in values.items():
        because = f'"{name}"' if status == _UNFIT else ""
        yield f"{request}: {name} {what}", Form(request, _json({**whole, name: value}), status, because)


def _bodies(request: str) -> Iterator[tuple[str, Form]]:
    """What is no object at all."""
    unfit = {
        "nothing": (b"", "Field required"),
        "a list": (b"[]", "valid dictionary"),
        "null": (b"null", "Field required"),
        "a text": (b'"T-1"', "valid dictionary"),
        "cut short": (b'{"taskId": "T-1"', "JSON decode error"),
        "a form": (b"taskId=T-1&helperId=H-1", "JSON decode error"),
        "with a stranger's field": (b'{"admin": true}', "Extra inputs are not permitted"),
    }
    for what, (body, because) in unfit.items():
        yield f"{request}: {what}", Form(request, body, _UNFIT, because)
    unreadable = {
        "no UTF-8": b'{"taskId": "\xff"}',
        "deep lists": b"[" * 100_000,
        "a number of 5000 digits": b'{"taskId": 1' + b"0" * 5000 + b"}",
    }
    for what, body in unreadable.items():
        yield f"{request}: {what}", Form(request, body, _UNREADABLE, "error parsing the body")
    yield (
        f"{request}: of another site's page",
        Form(request, b"{}", _FORBIDDEN, "asked by another site's page", {"Sec-Fetch-Site": "cross-site"}),
    )


def helper_forms() -> Iterator[tuple[str, Form]]:
    create, confirm, review = "POST /helper/tasks", "POST /helper/tasks/T-1/confirm", "POST /helper/tasks/T-2/reviews"
    for name, values in (
        ("taskId", _NO_IDS),
        ("helperId", _NO_IDS),
        ("photoUrl", _NO_ADDRESSES),
        ("branchId", _NO_NAMES),
    ):
        yield from _each(create, _TASK, name, values, _UNFIT)
    yield (
        "a bucket of secrets",
        Form(create, _json({**_TASK, "photoUrl": "s3://models/a.jpg"}), _UNFIT, "not in an allowed bucket"),
    )
    for name in ("finalResult", "aiResult"):
        yield from _each(confirm, _CONFIRM, name, _NO_LABELS, _UNFIT)
    yield from _each(confirm, _CONFIRM, "corrected", {"a word": "maybe", "null": None, "two": 2, "a list": []}, _UNFIT)
    yield from _each(confirm, _CONFIRM, "correctionReason", _NO_REASONS, _UNFIT)
    yield from _each(confirm, _CONFIRM, "correctionReason", _REASONS, 200)
    yield (
        "what the AI did not say",
        Form(confirm, _json({**_CONFIRM, "aiResult": "불량"}), _CONTRADICTS, "the AI's verdict"),
    )
    yield (
        "a correction that is none",
        Form(confirm, _json({**_CONFIRM, "corrected": True}), _CONTRADICTS, "must say whether"),
    )
    for name, values in (("reviewerId", _NO_NAMES), ("branchId", _NO_NAMES), ("finalResult", _NO_LABELS)):
        yield from _each(review, _REVIEW, name, values, _UNFIT)
    for name, values in (("correctionReason", _NO_REASONS), ("shownAt", _NO_TIMES), ("reviewSeconds", _NO_SECONDS)):
        yield from _each(review, _REVIEW, name, values, _UNFIT)
    for request in (create, confirm, review):
        yield from _bodies(request)
    yield from _asked()


def _asked() -> Iterator[tuple[str, Form]]:
    """What is said in the address."""
    queue = "GET /helper/reviews/queue"
    unfit = {
        queue: "reviewerId",
        f"{queue}?reviewerId=%00": "reviewerId",
        f"{queue}?reviewerId=kim&branchId=a%00": "branchId",
        f"{queue}?reviewerId=kim&limit=-1": "limit",
        f"{queue}?reviewerId=kim&limit=21": "limit",
        f"{queue}?reviewerId=kim&limit=few": "limit",
        f"{queue}?reviewerId=kim&limit={10**40}": "limit",
        f"{queue}?reviewerId=kim&besides=a%00b": "besides",
        f"{queue}?reviewerId=kim{'&besides=a' * 501}": "besides",
        "DELETE /helper/reviews/a%00b?reviewerId=kim": "review_id",
        f"DELETE /helper/reviews/{_LONG}?reviewerId=kim": "review_id",
        "DELETE /helper/reviews/a": "reviewerId",
        "GET /helper/tasks/T%00": "task_id",
        "GET /helper/tasks/%FF": "task_id",
        "GET /helper/tasks/T%0A": "task_id",
        "GET /helper/tasks/..%00/photo": "task_id",
        "GET /helper/reviews/learned?reviewerId=": "reviewerId",
    }
    for request, because in unfit.items():
        yield request[:80], Form(request, b"", _UNFIT, f'"{because}"')
    for request in (
        "DELETE /helper/reviews/a?reviewerId=kim",
        "GET /helper/tasks/T-404",
        "GET /helper/tasks/T-2/photo",
    ):
        yield request, Form(request, b"", _UNKNOWN, "no ")
    for request in (f"{queue}?reviewerId=김&branchId=강남점", f"{queue}?reviewerId=kim&limit=0{'&besides=a' * 500}"):
        yield request[:80], Form(request)


def access_forms() -> Iterator[tuple[str, Form]]:
    check, word, person = "POST /access/checks", "POST /access/checks/C-1/confirm", "PUT /access/people/kim"
    identities = {**_NO_NAMES, "a way out": "../kim", "null of Unicode": "\u200b", "too long": "k" * 101}
    for name, values in (("checkId", _NO_IDS), ("photoUrl", _NO_ADDRESSES), ("claimedIdentity", identities)):
        yield from _each(check, _CHECK, name, values, _UNFIT)
    yield from _each(word, _WORD, "reviewerId", _NO_NAMES, _UNFIT)
    yield from _each(word, _WORD, "finalResult", {"in capitals": "SAME", "null": None, "truth": True}, _UNFIT)
    yield from _each(word, _WORD, "correctionReason", _NO_REASONS, _UNFIT)
    yield from _each(person, {}, "photoUrl", _NO_ADDRESSES, _UNFIT)
    yield from _bodies(check)
    for request in ("DELETE /access/people/%00", "DELETE /access/people/-kim", f"DELETE /access/people/{'k' * 101}"):
        yield request[:80], Form(request, b"", _UNFIT, '"identity"')
    yield "a check that is not there", Form("POST /access/checks/C-404/confirm", _json(_WORD), _UNKNOWN, "no check")
