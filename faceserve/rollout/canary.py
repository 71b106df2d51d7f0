"""Which requests a candidate gets, and what their outcome says of it (specification §11).

There are three verdicts, as in Argo Rollouts and Kayenta. Errors go through Wald's sequential probability ratio test
("Sequential Tests of Statistical Hypotheses", 1945), which may be looked at after every request. Several errors in a
row, or answers that take far longer, end a trial at once.
"""

import hashlib
import itertools
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Verdict = Literal["promote", "roll back", "inconclusive"]
Side = Literal["stable", "canary"]

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
# With fewer requests than this, a mean says nothing.
_LATENCY_REQUESTS = 20
# A difference that no user notices refuses no candidate: on a busy machine a fast network may take several times as
# long.
_NOTICED_SECONDS = 0.005
# With fewer errors than this, the stable version's error rate is not known well enough to excuse the candidate.
_ERRORS_OF_A_RATE = 5


class Share:
    """`percent` of the requests; those of one task always fall on the same side, on every replica.

    The number at the end of a task id steps through the unit interval by the golden ratio (the most even sequence there
    is), from an offset that is a hash of the rest of the id and of the candidate. So consecutive ids split exactly, and
    random ids as a hash would. Requests without a task id are counted.
    """

    def __init__(self, percent: float, candidate: str) -> None:
        self.percent = percent
        self._candidate = candidate
        self._count: Iterator[int] = itertools.count(1)

    def has(self, task_id: str) -> bool:
        return self._position(task_id) < self.percent / 100

    def _position(self, task_id: str) -> float:
        if not task_id:
            return (next(self._count) * _GOLDEN_RATIO) % 1
        rest = task_id.rstrip("0123456789")
        # More digits than a float holds exactly would all land on the same spot.
        digits = task_id[len(rest) :][-15:]
        rest = task_id[: len(task_id) - len(digits)]
        digest = hashlib.blake2b(f"{self._candidate}\0{rest}".encode(), digest_size=8).digest()
        offset = int.from_bytes(digest, "big") / 2**64
        return (offset + int(digits or "0") * _GOLDEN_RATIO) % 1


@dataclass(frozen=True)
class Limits:
    """When a trial ends.

    `error_rate`: share of failed requests that is always acceptable. `worse`: a candidate that fails this many times as
    often is bad. `errors_in_a_row`: this many end a trial. `latency_ratio`: how many times as long the candidate may
    take on average. `false_alarm` and `missed`: how often a sound candidate may be refused, and a bad one promoted.
    """

    error_rate: float = 0.001
    worse: float = 10.0
    errors_in_a_row: int = 3
    latency_ratio: float = 3.0
    false_alarm: float = 0.05
    missed: float = 0.03


@dataclass(frozen=True)
class Counts:
    requests: int = 0
    errors: int = 0
    seconds: float = 0.0

    @property
    def mean_seconds(self) -> float:
        answered = self.requests - self.errors
        return self.seconds / answered if answered else 0.0


@dataclass(frozen=True)
class Opinion:
    verdict: Verdict
    reason: str


class Trial:
    """What both sides did since the canary began; safe to use from every request thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._counts: dict[Side, Counts] = {"stable": Counts(), "canary": Counts()}
        self._errors_in_a_row = 0
        self._compared = self._agreed = 0

    def observe(self, side: Side, seconds: float, *, failed: bool) -> None:
        """One request: `seconds` in the engine. Errors of the request itself (a bad photo) do not belong here."""
        with self._lock:
            counts = self._counts[side]
            self._counts[side] = replace(
                counts,
                requests=counts.requests + 1,
                errors=counts.errors + failed,
                seconds=counts.seconds + (0.0 if failed else seconds),
            )
            if side == "canary":
                self._errors_in_a_row = self._errors_in_a_row + 1 if failed else 0

    def compare(self, *, agreed: bool) -> None:
        """Both versions answered the same request (shadow)."""
        with self._lock:
            self._compared += 1
            self._agreed += agreed

    def counts(self, side: Side) -> Counts:
        return self._counts[side]

    @property
    def agreement(self) -> tuple[int, int]:
        """How many answers were compared, and how many of these agreed."""
        with self._lock:
            return self._compared, self._agreed

    def opinion(self) -> Opinion:
        """What the figures say so far; `inconclusive` means that the trial should go on."""
        with self._lock:
            stable, canary, in_a_row = self._counts["stable"], self._counts["canary"], self._errors_in_a_row
        limits = self._limits
        if in_a_row >= limits.errors_in_a_row:
            return Opinion("roll back", f"{in_a_row} errors in a row")
        if min(stable.requests, canary.requests) >= _LATENCY_REQUESTS and stable.mean_seconds:
            ratio = canary.mean_seconds / stable.mean_seconds
            if ratio > limits.latency_ratio and canary.mean_seconds - stable.mean_seconds > _NOTICED_SECONDS:
                return Opinion("roll back", f"{ratio:.1f} times as slow, {limits.latency_ratio:g} is allowed")
        return self._by_errors(stable, canary)

    def _by_errors(self, stable: Counts, canary: Counts) -> Opinion:
        limits = self._limits
        usual = stable.errors / stable.requests if stable.errors >= _ERRORS_OF_A_RATE else 0.0
        sound = min(max(limits.error_rate, usual), 0.5)
        bad = min(sound * limits.worse, 0.9)
        fine = canary.requests - canary.errors
        evidence = canary.errors * math.log(bad / sound) + fine * math.log((1 - bad) / (1 - sound))
        seen = f"{canary.errors} errors in {canary.requests} requests"
        if evidence >= math.log((1 - limits.missed) / limits.false_alarm):
            return Opinion("roll back", f"{seen}: more like {bad:.1%} than {sound:.1%}")
        if evidence <= math.log(limits.missed / (1 - limits.false_alarm)) and canary.requests >= _LATENCY_REQUESTS:
            return Opinion("promote", f"{seen}: more like {sound:.1%} than {bad:.1%}")
        return Opinion("inconclusive", f"{seen} do not decide yet")
