"""`python -m include.demo`: bring the stack up, tell the story, print the report."""

import os
import sys
import time

import click
from rich.console import Console

from include.demo.airflow_api import DagRunFailed
from include.demo.story import INTAKE, RETRAINING, ROLLBACK, Scenery, Story
from include.stack import runner
from include.stack.__main__ import show_addresses
from include.stack.layout import Stack, default_root, environment
from include.stack.reset import pause_dags, reset
from include.stack.services import StackError

console = Console(highlight=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--base-photos", default=400, show_default=True, help="Photos the first model learns from.")
@click.option("--live-photos", default=1100, show_default=True, help="Tasks that branch managers confirm.")
@click.option("--seed", default=1, show_default=True, help="Other photos, other mistakes.")
def main(base_photos: int, live_photos: int, seed: int) -> None:
    """The whole loop on this machine: corrections in, a better model live, rolled back on demand."""
    started = time.monotonic()
    stack = runner.up(default_root(), lambda text: console.print(f"  [green]✓[/] {text}"))
    pause_dags(stack, (INTAKE, RETRAINING, ROLLBACK))
    reset(stack)
    start_seconds = round(time.monotonic() - started, 1)
    variables = environment(stack)
    os.environ.update(variables)
    story = Story(_scenery(stack, variables, base_photos, live_photos, seed), console)
    report = story.tell()
    report.record(stack_start_seconds=start_seconds, stack_memory_mb=runner.memory_mb(stack))
    report.write(stack.root / "demo-report.json")
    report.show(console)
    show_addresses(stack)
    console.print(
        f"report: {stack.root / 'demo-report.json'}; the stack stays up, `make down` stops it", soft_wrap=True
    )
    sys.exit(1 if report.broken else 0)


def _scenery(stack: Stack, variables: dict[str, str], base_photos: int, live_photos: int, seed: int) -> Scenery:
    return Scenery(
        root=stack.root,
        environment=variables,
        airflow_url=f"http://127.0.0.1:{stack.port('airflow')}",
        airflow_user="admin",
        airflow_password=stack.secrets["airflow_admin"],
        helper_url=f"http://127.0.0.1:{stack.port('helper')}",
        helper_owner_dsn=stack.dsn("helper", "helper"),
        amqp_url=stack.amqp_url,
        s3_endpoint=stack.s3_endpoint,
        replicas=stack.replicas,
        base_photos=base_photos,
        live_photos=live_photos,
        seed=seed,
    )


if __name__ == "__main__":
    try:
        main()
    except (StackError, DagRunFailed, RuntimeError, TimeoutError) as error:
        console.print(f"[bold red]the demo cannot go on:[/] {error}", markup=True)
        sys.exit(1)
