"""What acts came to: how often each ended how, and a sentence for each end that nobody had promised."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.error import HTTPError

from pika.exceptions import AMQPError

from include.contract.lifecycle_client import FaceserveError
from pipeline.domain.errors import GiveUp, TryAgain
from tests.waiting import WaitedInVain

DONE, REFUSED, LATER, WRONG = "done", "refused", "tried again", "wrong"
_NOT_YET = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "RESOURCE_EXHAUSTED", "CANCELLED"}
_MOST_SENTENCES = 20


class Refused(Exception):
    """A command said no, with a sentence."""


class Later(Exception):
    """A command, or a service, says that it will do later."""


@dataclass(frozen=True)
class Act:
    """Somebody who does `play` again and again, `every_seconds` if that is long enough."""

    name: str
    every_seconds: float
    play: Callable[[], object]


class Tally:
    """Written by the threads of all acts."""

    def __init__(self) -> None:
        self.ends: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def note(self, act: str, end: str, sentence: str = "") -> None:
        with self._lock:
            self.ends[act][end] += 1
            if end == WRONG and len(self.wrong) < _MOST_SENTENCES:
                self.wrong.append(f"{act}: {sentence}")

    def played(self, act: Act) -> None:
        """Once; a fault may make it end with a refusal or with "later", and with nothing else."""
        try:
            act.play()
        except Exception as error:  # noqa: BLE001 - an end that nobody promised is what is looked for
            self.note(act.name, end_of(error), f"{type(error).__name__}: {error}")
        else:
            self.note(act.name, DONE)


def end_of(error: Exception) -> str:
    if isinstance(error, WaitedInVain):
        return WRONG
    if isinstance(error, Refused | GiveUp):
        return REFUSED
    if isinstance(error, Later | TryAgain | AMQPError):
        return LATER
    if isinstance(error, FaceserveError):
        return LATER if error.code in _NOT_YET else WRONG
    if isinstance(error, HTTPError):
        # 5xx is "later"; what is refused of what we sent would be a fault.
        return LATER if error.code >= 500 else WRONG
    # A connection that could not be made, or broke off.
    return LATER if isinstance(error, OSError) else WRONG


class Going:
    """Acts in threads of their own, until the end."""

    def __init__(self, acts: list[Act], tally: Tally) -> None:
        self._end, self._tally = threading.Event(), tally
        self._threads = [threading.Thread(target=self._go_on, args=(act,), name=act.name) for act in acts]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._end.set()
        for thread in self._threads:
            with suppress(RuntimeError):
                thread.join()

    def _go_on(self, act: Act) -> None:
        while not self._end.is_set():
            self._tally.played(act)
            self._end.wait(act.every_seconds)
