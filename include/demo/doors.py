"""Doors that ask the access service's stand-in who stands before them, and people who say whether it was right."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import boto3
import httpx
import stamina

from include.demo.people import DrawnPerson
from include.demo.seeding import BUCKET
from include.stack.knowing import inherited, told
from include.stack.layout import Stack

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE = 4
_START_SECONDS = 60.0
# The word of one person may make up a quarter at most.
_REVIEWERS = 8


@dataclass(frozen=True)
class Visit:
    """Somebody stands before a door as `claimed`; `photo` shows who it really is."""

    check_id: str
    claimed: str
    photo: bytes
    same: bool


@contextmanager
def access_service(stack: Stack) -> Iterator["Doors"]:
    """The stand-in, started here unless it runs already; what was started ends with this."""
    url, log = f"http://127.0.0.1:{stack.port('access')}", stack.log("demo-access")
    started = None
    if not _answers(url):
        command = [sys.executable, "-m", "include.access_service"]
        own = variables_of_access(stack)
        with log.open("w") as out:
            started = subprocess.Popen(command, env=own, stdout=out, stderr=subprocess.STDOUT)
    try:
        _await(url, f"the access service does not answer: {log}")
        with httpx.Client(base_url=url, timeout=60) as http:
            yield Doors(http, stack.s3_endpoint)
    finally:
        if started is not None:
            started.terminate()
            started.wait()


def variables_of_access(stack: Stack) -> dict[str, str]:
    """What the access service reads, with a key of S3 of its own."""
    return {**inherited(stack), **told(stack, "ACCESS_", key="access")}


def _await(url: str, otherwise: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(url):
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=3).status_code == 200
    except httpx.HTTPError:
        return False


class Doors:
    def __init__(self, http: httpx.Client, s3_endpoint: str) -> None:
        self._http, self._s3 = http, boto3.client("s3", endpoint_url=s3_endpoint)

    def enrol(self, people: Sequence[DrawnPerson], on_done: Callable[[], None]) -> None:
        """Everybody with a first photo, such as a portrait."""

        def one(person: DrawnPerson) -> None:
            url = self._put(f"FACE-{person.identity}", person.photo(0))
            # Asked again, enrolling somebody changes nothing: a terminal would ask, too.
            for attempt in stamina.retry_context(on=httpx.HTTPStatusError, attempts=3):
                with attempt:
                    self._http.put(f"/access/people/{person.identity}", json={"photoUrl": url}).raise_for_status()
            on_done()

        _each(one, people)

    def check(self, visits: Sequence[Visit], on_done: Callable[[], None]) -> int:
        """Each asks, and somebody who was there says whether it was that person; how many answers were wrong."""

        def one(numbered: tuple[int, Visit]) -> bool:
            number, visit = numbered
            asked = {"checkId": visit.check_id, "doorId": f"DOOR-{number % 5}", "claimedIdentity": visit.claimed}
            url = self._put(visit.check_id, visit.photo)
            self._http.post("/access/checks", json={**asked, "photoUrl": url}).raise_for_status()
            word = {"finalResult": "same" if visit.same else "different", "reviewerId": f"guard-{number % _REVIEWERS}"}
            said = self._http.post(f"/access/checks/{visit.check_id}/confirm", json=word).raise_for_status().json()
            on_done()
            return bool(said["corrected"])

        return sum(_each(one, list(enumerate(visits))))

    def _put(self, name: str, photo: bytes) -> str:
        self._s3.put_object(Bucket=BUCKET, Key=f"{name}.jpg", Body=photo, ContentType="image/jpeg")
        return f"s3://{BUCKET}/{name}.jpg"


def _each(act: Callable[[T], R], items: Sequence[T]) -> list[R]:
    with ThreadPoolExecutor(_AT_ONCE) as some:
        return list(some.map(act, items))
