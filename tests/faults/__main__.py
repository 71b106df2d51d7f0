"""`python -m tests.faults [ROW…]`: the fault matrix; all rows write `include/studies/faults.md`."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from include.stack.layout import REPOSITORY
from tests import lifeline
from tests.faults.matrix import ROWS, Outcome, Row, played
from tests.faults.page import PAGE, page
from tests.faults.world import world


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("numbers", metavar="[ROW]…", type=int, nargs=-1)
def main(numbers: tuple[int, ...]) -> None:
    """Strike, let recover, check the five invariants; exit status 1 when a row does not hold."""
    outcomes = list(_told(_outcomes([row for row in ROWS if row.number in (numbers or {row.number})])))
    if not numbers:
        PAGE.write_text(page(outcomes))
    sys.exit(not all(outcome.held for outcome in outcomes))


def _outcomes(rows: Sequence[Row]) -> Iterator[Outcome]:
    left = [row for row in rows if row.scenario]
    while left:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, world(Path(folder)) as made:
            held = True
            # What one row broke must not be held against the next.
            while left and held:
                outcome = _and_its_tests(played(left.pop(0), made))
                held = outcome.held
                yield outcome
    yield from (_and_its_tests(Outcome(row, "", 0.0)) for row in rows if not row.scenario)


def _and_its_tests(outcome: Outcome) -> Outcome:
    if not outcome.row.tests:
        return outcome
    begun = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "--timeout=0", *outcome.row.tests]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    closing = (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1].strip("= ")
    seconds = outcome.seconds + time.monotonic() - begun
    if done.returncode:
        return replace(outcome, wrong=f"{outcome.wrong} {closing}".strip(), seconds=seconds)
    return replace(outcome, seen="; ".join(part for part in (outcome.seen, closing) if part), seconds=seconds)


def _told(outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        found = outcome.not_here or f"BROKEN {outcome.wrong} {dict(outcome.broken)}"
        word = "holds" if outcome.held else found
        click.echo(f"{outcome.row.number:>3} {outcome.row.fault}: {word} ({outcome.seconds:.0f} s) {outcome.seen}")
        yield outcome


if __name__ == "__main__":
    lifeline.hold()
    main()
