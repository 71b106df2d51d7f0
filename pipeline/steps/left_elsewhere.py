"""What an erasure cannot reach and people have to know of: dead letters that name what was erased, and backups."""

import json
import unicodedata
from collections.abc import Collection
from datetime import datetime, timedelta

from pipeline.domain.errors import TryAgain
from pipeline.ports.events import DeadLetter, DeadLetters

_LOOK = "look with `python -m pipeline dead-letters list`"
# A copy of the cluster of just before stays until another one, of the next night, is as old as promised; and goes with
# the copy of that night.
_BETWEEN_COPIES = timedelta(days=2)


def in_dead_letters(letters: DeadLetters, words: Collection[str]) -> list[str]:
    """`words` are ids, names and addresses of what was erased."""
    try:
        found = [one.id for one in letters.all() if _names(one, {_alike(word) for word in words if word})]
    except TryAgain as error:
        return [f"dead letters may name it, and nobody could be asked ({error}): {_LOOK}"]
    return [
        f"dead letter {one} names it: throw it away with `python -m pipeline dead-letters discard`" for one in found
    ]


def in_backups(now: datetime, kept: timedelta | None) -> str:
    """`kept` is None where somebody else backs the databases up."""
    again = "whatever is restored, of databases or buckets: `python -m pipeline backups erase-again` erases in it again"
    if kept is None:
        return f"backups that others make of the databases have its rows for as long as they are kept; {again}"
    last = now + kept + _BETWEEN_COPIES
    return f"backups of the databases have its rows, the last one until {last:%Y-%m-%d} (a copy each night); {again}"


def _names(letter: DeadLetter, words: Collection[str]) -> bool:
    said = _alike(f"{letter.body.decode(errors='replace')} {letter.headers} {letter.message_id}")
    try:
        # As JSON may say it: with \u instead of letters.
        said += _alike(json.dumps(json.loads(letter.body), ensure_ascii=False))
    except (ValueError, RecursionError):
        # What is no JSON has no other form.
        return any(word in said for word in words)
    return any(word in said for word in words)


def _alike(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())
