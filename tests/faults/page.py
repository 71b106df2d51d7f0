"""`include/studies/faults.md`: what came of each row, for people."""

from collections.abc import Sequence
from datetime import UTC, datetime

from include.stack.layout import REPOSITORY
from pipeline.adapters.code_version import git_commit
from tests.faults.matrix import Outcome

PAGE = REPOSITORY / "include" / "studies" / "faults.md"
_HEAD = """# Thirty faults

`make faults` strikes the programs of the real stack, started for it alone: PostgreSQL, RabbitMQ, S3, MLflow, the Helper
service and two replicas that are asked all the time. After each fault everything gets what it gets in production (a
supervisor, the next run of the intake, `reconcile` once). Then one checker reads the five
[invariants](../reliability.md) off databases, queues, registry and replicas.

Rows that need a world of their own are proven by the tests they name, which `make faults` runs, too.

"""
_TABLE = "| # | fault | how | seen | I1–I5 | seconds |\n|---|---|---|---|---|---|\n"


def page(outcomes: Sequence[Outcome]) -> str:
    """The table, with when and on which commit it was found."""
    held = sum(outcome.held for outcome in outcomes)
    when = f"{datetime.now(UTC):%Y-%m-%d}, commit `{git_commit()[:12]}`: {held} of {len(outcomes)} rows hold.\n\n"
    return _HEAD + when + _TABLE + "".join(map(_line, outcomes))


def _line(outcome: Outcome) -> str:
    row = outcome.row
    seen = "; ".join(part for part in (outcome.seen, outcome.not_here, outcome.wrong, *_breaches(outcome)) if part)
    named = ", ".join(f"`{test}`" for test in row.tests)
    said = ". ".join(part for part in (_cell(seen), f"Tests: {named}" if named else "") if part)
    return f"| {row.number} | {row.fault} | {row.injected} | {said} | {_marks(outcome)} | {outcome.seconds:.0f} |\n"


def _breaches(outcome: Outcome) -> list[str]:
    return [f"{name}: {sentence}" for name, sentences in outcome.broken.items() for sentence in sentences[:3]]


def _marks(outcome: Outcome) -> str:
    if outcome.not_here:
        return "not made here"
    if outcome.row.scenario is None:
        return "by tests" if outcome.held else "**tests fail**"
    broken = [name for name, sentences in outcome.broken.items() if sentences]
    return "hold" if outcome.held else "**" + ", ".join(broken or ["not as expected"]) + "**"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:600]
