"""`python -m tests.soak`: everything at once on a stack of its own, and a table of what came of it."""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import click

from include.stack import runner
from tests import lifeline
from tests.faults.callers import Callers
from tests.faults.invariants import breaches
from tests.faults.world import World, world
from tests.soak.life import Life
from tests.soak.striking import SERVICES, Strikes
from tests.soak.table import Outcome, faults_of, lines
from tests.soak.tally import Act, Going, Tally
from tests.soak.watching import Watch, megabytes, rows

_LOOK_SECONDS, _STRIKE_SECONDS = 10.0, 60.0
_CALLERS = 4


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--minutes", type=click.FloatRange(1), default=60.0, show_default=True, help="How long it goes on.")
@click.option("--seed", default=18, show_default=True, help="Of the order of faults and of what people say.")
def main(minutes: float, seed: int) -> None:
    """Confirmations, changes of models, faces, erasures and onlookers, with a fault each minute; exit status 1 when a
    request failed, an invariant is broken, or something grew that should not.
    """
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, world(Path(folder)) as made:
        outcome = soaked(made, minutes, seed)
    click.echo("\n".join(lines(outcome)))
    sys.exit(bool(faults_of(outcome)))


def soaked(made: World, minutes: float, seed: int) -> Outcome:
    runner.up(made.stack.root, lambda text: None, SERVICES)
    life, strikes, watch, tally = Life(made, seed), Strikes(made, Random(seed), 30 * minutes), Watch(made), Tally()
    life.serve_a_face_model()
    before = rows(made), megabytes(made)
    with ExitStack() as stack:
        callers = [stack.enter_context(Callers(made.stack.replicas, pause_seconds=0)) for _ in range(_CALLERS)]
        stack.enter_context(Going([*life.acts(), Act("a fault", _STRIKE_SECONDS, strikes.strike)], tally))
        _look_until(time.monotonic() + 60 * minutes, watch)
    strikes.mend()
    life.publish_pending()
    made.recover()
    for one in callers:
        made.callers.answers.update(one.answers)
        made.callers.refusals += one.refusals
    return Outcome(
        minutes,
        made.callers.answers.total() + len(made.callers.refusals),
        made.callers.refusals,
        tally.ends,
        tally.wrong,
        strikes.struck,
        breaches(made),
        watch.grown(),
        (before[0], rows(made)),
        (before[1], megabytes(made)),
    )


def _look_until(end: float, watch: Watch) -> None:
    while (left := end - time.monotonic()) > 0:
        watch.look()
        time.sleep(min(_LOOK_SECONDS, left))


if __name__ == "__main__":
    lifeline.hold()
    main()
