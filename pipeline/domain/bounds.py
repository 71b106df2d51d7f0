"""Which values a type allows. Settings refuse anything else, and say so in the words that stand here."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True)
class Range:
    """Finite numbers between bounds; None is no bound."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def allows(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"from {_figure(self.at_least)} to {_figure(self.at_most)}"
        named = {"at least": self.at_least, "above": self.above, "at most": self.at_most, "below": self.below}
        return ", ".join(f"{name} {_figure(bound)}" for name, bound in named.items() if bound is not None)


def _figure(number: float) -> str:
    return f"{number:,.10g}"


@dataclass(frozen=True)
class OneOf:
    """One of some words."""

    choices: tuple[str, ...]

    def allows(self, value: str) -> bool:
        return value in self.choices

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}"


@dataclass(frozen=True)
class Address:
    """A URL of one of some schemes, with a host; `words` say what it looks like.

    `also` is a regular expression for another way to write the same.
    """

    schemes: tuple[str, ...]
    words: str
    also: str = r"(?!)"

    def allows(self, value: str) -> bool:
        try:
            parts = urlsplit(value)
            whole = parts.scheme in self.schemes and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            return False
        return bool(whole) or re.fullmatch(self.also, value) is not None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Cron:
    """A cron expression: five fields of numbers, ranges, steps and lists, naming a day that exists in some month."""

    def allows(self, value: str) -> bool:
        return re.fullmatch(_CRON, value) is not None and _happens(*value.split(" "))

    def __str__(self) -> str:
        return "a cron expression such as */15 * * * *"


@dataclass(frozen=True)
class TimeOfDay:
    """Hours and minutes; 24:00 is the end of a day."""

    def allows(self, value: str) -> bool:
        return re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", value) is not None

    def __str__(self) -> str:
        return "a time of day such as 02:00"


@dataclass(frozen=True)
class TimeZone:
    """A name in the IANA time zone database."""

    def allows(self, value: str) -> bool:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return False
        return True

    def __str__(self) -> str:
        return "a time zone such as Asia/Seoul"


def _happens(_minute: str, _hour: str, days: str, months: str, weekdays: str) -> bool:
    """No month has a 31st of February; a day of the week comes in any month."""
    named = (set(_numbers(days, 31)), set(_numbers(months, 12)))
    return not weekdays.startswith("*") or any(day <= _LONGEST[month - 1] for day in named[0] for month in named[1])


def _numbers(field: str, last: int) -> Iterator[int]:
    """The days or months that a field names; a range that ends before it begins wraps around."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, until = span.replace("*", f"1-{last}").partition("-")
        begin, end = int(first), int(until or (last if step else first))
        beyond = last if end < begin else 0
        yield from ((number - 1) % last + 1 for number in range(begin, end + beyond + 1, int(step or 1)))


def _field(number: str) -> str:
    one = rf"(\*|{number}(-{number})?)(/[1-9]\d?)?"
    return f"{one}(,{one})*"


_MINUTE, _HOUR, _DAY = r"[0-5]?\d", r"([01]?\d|2[0-3])", r"(0?[1-9]|[12]\d|3[01])"
_MONTH, _WEEKDAY = r"(0?[1-9]|1[0-2])", r"[0-7]"
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_CRON = " ".join(_field(number) for number in (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY))
Bounds = Range | OneOf | Address | Cron | TimeOfDay | TimeZone


class Sides(Enum):
    """Of the interval whose confidence a number is. One end of a two-sided one is surer than the interval: at 0.8 what
    lies beyond that end has a tenth, not a fifth.
    """

    ONE = 1
    TWO = 2


# Every number has an upper end, so that what is computed from it still fits a column, a LIMIT or a date.
_MOST = 1e9
_YEARS = 100

AtLeastOne = Annotated[int, Range(at_least=1, at_most=_MOST)]
Count = Annotated[int, Range(at_least=0, at_most=_MOST)]
Bytes = Annotated[int, Range(at_least=1, at_most=1e15)]
Share = Annotated[float, Range(at_least=0, at_most=1)]
OneSided = Annotated[float, Range(above=0, below=1), Sides.ONE]
TwoSided = Annotated[float, Range(above=0, below=1), Sides.TWO]
Positive = Annotated[float, Range(above=0, at_most=_MOST)]
NotNegative = Annotated[float, Range(at_least=0, at_most=_MOST)]
PositiveDays = Annotated[float, Range(above=0, at_most=_YEARS * 365)]
PositiveHours = Annotated[float, Range(above=0, at_most=_YEARS * 365 * 24)]
PositiveSeconds = Annotated[float, Range(above=0, at_most=24 * 3600)]
Days = Annotated[float, Range(at_least=0, at_most=_YEARS * 365)]
Hours = Annotated[float, Range(at_least=0, at_most=_YEARS * 365 * 24)]
Minutes = Annotated[float, Range(at_least=0, at_most=_YEARS * 365 * 24 * 60)]
Seconds = Annotated[float, Range(at_least=0, at_most=24 * 3600)]
