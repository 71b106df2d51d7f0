"""What a soak came to, as lines for people; `faults_of` says what of it nobody had promised."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.soak.tally import DONE, LATER, REFUSED, WRONG
from tests.soak.watching import GROWS, Grown

REQUESTS_AN_HOUR = 1_000_000
# A batch of confirmations and what is told of it; artifacts and photos here are small.
ROWS_AN_ACT, MEGABYTES_AN_ACT = 100, 0.2
# PostgreSQL keeps its log up to a gigabyte, however little is done.
MEGABYTES_AT_ONCE: Mapping[str, float] = {"postgres": 1100.0}


@dataclass(frozen=True)
class Outcome:
    """`ends` by act; `struck` names the faults; `rows` and `megabytes` before and after, by table and folder."""

    minutes: float
    requests: int
    refusals: Sequence[str]
    ends: Mapping[str, Mapping[str, int]]
    wrong: Sequence[str]
    struck: Sequence[str] = ()
    broken: Mapping[str, Sequence[str]] = field(default_factory=dict)
    grown: Sequence[Grown] = ()
    rows: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})
    megabytes: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {})


def faults_of(outcome: Outcome) -> list[str]:
    """A sentence each; none where everything held."""
    return [
        *(f"a request failed: {refusal}" for refusal in outcome.refusals),
        *outcome.wrong,
        *(f"{name}: {sentence}" for name, sentences in outcome.broken.items() for sentence in sentences),
        *(f"{act} was never done" for act, ends in outcome.ends.items() if not ends.get(DONE)),
        *(f"{act} was put off more often than done" for act, ends in outcome.ends.items() if _mostly_put_off(ends)),
        *(f"{one.program}: {_from_to(one)}" for one in outcome.grown if one.too_much),
        *(f"table {name} grew, and nothing says why" for name, *_ in _more(outcome.rows) if name not in GROWS),
        *_faster_than_acts(outcome),
    ]


def _mostly_put_off(ends: Mapping[str, int]) -> bool:
    return 0 < ends.get(DONE, 0) < ends.get(LATER, 0)


def _faster_than_acts(outcome: Outcome) -> Iterator[str]:
    """Tables and folders that became larger than all that was done can explain."""
    acts = sum(ends.get(DONE, 0) for ends in outcome.ends.values())
    for name, before, after in _more(outcome.rows):
        if after - before > ROWS_AN_ACT * acts:
            yield f"table {name}: {before:,} → {after:,} rows in {acts:,} acts"
    for name, before, after in _more(outcome.megabytes):
        if after - before > MEGABYTES_AT_ONCE.get(name, 100.0) + MEGABYTES_AN_ACT * acts:
            yield f"folder {name}: {before:,.0f} → {after:,.0f} MB in {acts:,} acts"


def lines(outcome: Outcome) -> Iterator[str]:
    an_hour = outcome.requests / outcome.minutes * 60
    yield f"{outcome.minutes:g} minutes, {len(outcome.struck)} faults"
    yield f"requests: {outcome.requests:,}, {an_hour:,.0f} an hour ({REQUESTS_AN_HOUR:,} wanted, on two idle cores)"
    yield f"of which failed: {len(outcome.refusals)}"
    yield f"{'act':<44}{DONE:>8}{REFUSED:>10}{LATER:>13}{WRONG:>8}"
    for act, ends in outcome.ends.items():
        yield (
            f"{act:<44}"
            + f"{ends.get(DONE, 0):>8}{ends.get(REFUSED, 0):>10}"
            + (f"{ends.get(LATER, 0):>13}{ends.get(WRONG, 0):>8}")
        )
    yield f"invariants: {', '.join(f'{name} {_hold(found)}' for name, found in outcome.broken.items())}"
    yield "longest life of each program without a restart, once it was warm:"
    yield from (f"  {one.program:<24}{one.seconds:>6.0f} s  {_from_to(one)}" for one in outcome.grown)
    yield "rows that became more:"
    yield from (f"  {name:<28}{a:>9,} → {b:>9,}  {GROWS.get(name, '?')}" for name, a, b in _more(outcome.rows))
    yield "megabytes on disk:"
    yield from (f"  {name:<28}{a:>9.1f} → {b:>9.1f}" for name, a, b in _more(outcome.megabytes))
    found = faults_of(outcome)
    yield "everything held" if not found else "does not hold:"
    yield from (f"  {sentence}" for sentence in found)


def _hold(found: Sequence[str]) -> str:
    return "broken" if found else "holds"


def _from_to(one: Grown) -> str:
    return f"{one.figure} {one.before:.1f} → {one.after:.1f}"


def _more(both: tuple[Mapping[str, float], Mapping[str, float]]):
    before, after = both
    for name in sorted(after):
        if after[name] > before.get(name, 0):
            yield name, before.get(name, 0), after[name]
