"""`python -m include.demo`: bring the stack up, tell the story, print the report."""

import os
import sys
import time
from contextlib import suppress

import click
from rich.console import Console

from include.contract.arguments import FiniteRange
from include.demo.drill import MONITOR
from include.demo.emptying import demand_nothing_of_others
from include.demo.pictures import keep_pictures, tell
from include.demo.stage import Stage, publish, refusals_as_sentences
from include.demo.story import INTAKE, LEFT_FOR_YOU, RETRAINING, ROLLBACK, Size, Story
from include.stack import runner
from include.stack.__main__ import review_page, show_addresses
from include.stack.airflow_api import AirflowError
from include.stack.layout import default_root, environment
from include.stack.reset import pause_dags, reset

_PAUSED = (INTAKE, RETRAINING, ROLLBACK, MONITOR)

console = Console(highlight=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--base-photos", type=click.IntRange(1), default=400, show_default=True, help="Photos the first model learns from."
)
@click.option(
    "--live-photos", type=click.IntRange(1), default=1100, show_default=True, help="Tasks that branch managers confirm."
)
@click.option(
    "--requests-per-second",
    type=FiniteRange(0, min_open=True),
    default=8.0,
    show_default=True,
    help="How often each replica is asked.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Other photos, other mistakes.")
def main(base_photos: int, live_photos: int, requests_per_second: float, seed: int) -> None:
    """The whole loop on this machine: corrections in, a better model live, rolled back on demand.

    It begins with an empty stack: what an earlier demo left is deleted, and anything else keeps it from beginning.
    """
    started, (load, *_) = time.monotonic(), os.getloadavg()
    stack = runner.up(default_root(), lambda text: console.print(f"  [green]✓[/] {text}"))
    demand_nothing_of_others(stack)
    # The monitor of a demo looks every minute: not while everything is emptied, nor while latency is measured.
    pause_dags(stack, _PAUSED)
    reset(stack)
    start_seconds = round(time.monotonic() - started, 1)
    os.environ.update(environment(stack))
    stage = Stage(stack, "The whole loop, measured", console)
    try:
        report = Story(stage, Size(base_photos, live_photos, requests_per_second, seed)).tell()
    finally:
        # Also of a demo that cannot go on: nobody else would say so.
        _tell_what_is_paused(stage)
    report.record(
        load_before=round(load, 1), stack_start_seconds=start_seconds, stack_memory_mb=runner.memory_mb(stack)
    )
    status = publish(report, stack.root / "demo-report.json", console)
    _keep_pictures(stage)
    show_addresses(stack)
    console.print("the stack stays up: `make down` stops it")
    console.print(
        f"[bold]Your turn:[/] {LEFT_FOR_YOU} pieces of laundry wait for you at {review_page(stack)}", soft_wrap=True
    )
    sys.exit(status)


def _keep_pictures(stage: Stage) -> None:
    with suppress(AirflowError):
        stack, airflow = stage.stack, f"http://127.0.0.1:{stage.stack.port('airflow')}"
        folder, others = stack.root / "screenshots", {"review page": f"{review_page(stack)}?reviewer=demo"}
        tell(keep_pictures(folder, airflow, stage.airflow.token, others), stage.say)


def _tell_what_is_paused(stage: Stage) -> None:
    with suppress(AirflowError):
        if paused := [dag for dag in _PAUSED if stage.airflow.paused(dag)]:
            stage.say(
                f"paused in Airflow, so that nothing changes by itself: {', '.join(paused)}; switch on what you need"
            )


if __name__ == "__main__":
    with refusals_as_sentences("demo", console):
        main()
