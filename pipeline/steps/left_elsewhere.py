"""What an erasure cannot reach, so that people have to know: dead letters that name what was erased, and backups."""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from pipeline.domain.errors import GiveUp, TryAgain
from pipeline.ports.events import DeadLetter, DeadLetters

# Characters of words that are divided by spaces.
_OF_WORDS = "[A-Za-z0-9-]"
_LOOK = "look with `python -m pipeline dead-letters list`"
# A copy of the cluster of just before stays until another one, of the next night, is as old as promised; and goes with
# the copy of that night.
_BETWEEN_COPIES = timedelta(days=2)


def in_dead_letters(letters: DeadLetters, words: Collection[str]) -> list[str]:
    """`words` are ids, names and addresses of what was erased."""
    whole = _whole(words)
    try:
        found = [one.id for one in letters.all() if _names(one, whole)]
    except (TryAgain, GiveUp) as error:
        return [f"dead letters may name it, and nobody could be asked ({error}): {_LOOK}"]
    return [f"dead letter {one} may name it: {_look_and_discard(one)}" for one in found]


def _look_and_discard(letter: str) -> str:
    look = f"`python -m pipeline dead-letters show {letter}`"
    return f"look with {look}, and throw it away with `python -m pipeline dead-letters discard {letter}`"


def in_backups(now: datetime, kept: timedelta | None) -> str:
    """`kept` is None where somebody else backs the databases up."""
    again = "whatever is restored, of databases or buckets: `python -m pipeline backups erase-again` erases in it again"
    if kept is None:
        return f"backups that others make of the databases have its rows for as long as they are kept; {again}"
    last = now + kept + _BETWEEN_COPIES
    return f"backups of the databases have its rows, the last one until {last:%Y-%m-%d} (a copy each night); {again}"


def _names(letter: DeadLetter, words: re.Pattern[str]) -> bool:
    """What its fields hold, not what they are called: JSON may say it with \\u instead of letters."""
    try:
        said = [*_texts(json.loads(letter.body))]
    except (ValueError, RecursionError):
        said = [letter.body.decode(errors="replace")]
    return any(words.search(_alike(text)) for text in (*said, *_texts(letter.headers), letter.message_id or ""))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif value is not None:
        yield str(value)


def _whole(words: Collection[str]) -> re.Pattern[str]:
    """`TASK-1`, and not `TASK-12`; a name in Korean with whatever follows it, such as 님. Nothing for no words."""
    alike = sorted(map(_alike, filter(str.strip, words)))
    return re.compile("|".join(map(_bounded, alike)) or "(?!)")


def _bounded(word: str) -> str:
    before = rf"(?<!{_OF_WORDS})" if re.match(_OF_WORDS, word) else ""
    after = rf"(?!{_OF_WORDS})" if re.match(_OF_WORDS, word[-1]) else ""
    return before + re.escape(word) + after


def _alike(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())
