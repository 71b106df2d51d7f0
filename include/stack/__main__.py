"""`python -m include.stack`: the whole stack on one machine."""

import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from include.stack import runner
from include.stack.airflow_api import AirflowApi, AirflowError, airflow_of
from include.stack.alerting import alerting_faults
from include.stack.executor import CHOICE
from include.stack.layout import Stack, bin_folder, default_root, environment, load
from include.stack.object_keys import PIPELINE, key_of
from include.stack.object_keys import SECRETS as KEYS
from include.stack.outside_look import faults
from include.stack.reset import reset as reset_data
from include.stack.rotating import NAMES
from include.stack.rotating import rotate as rotate_secret
from include.stack.services import StackError, demand_complete
from include.stack.stack_file import StackFileError

console = Console(stderr=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """PostgreSQL, RabbitMQ, S3, MLflow, faceserve, Helper service, Airflow, Prometheus; everything under .stack/."""


@main.command()
@click.option("--only", default="", help="Comma-separated services, e.g. postgres,rabbitmq,s3.")
def up(only: str) -> None:
    """Start what is not running."""
    names = [name for name in only.split(",") if name]
    stack = runner.up(default_root(), lambda text: console.print(f"  [green]✓[/] {text}"), names)
    show_addresses(stack)
    # Of a whole stack only: nobody expects notices from a part of it.
    if not names:
        show_silence(stack)


@main.command()
def down() -> None:
    """Stop everything; no process stays behind."""
    runner.down(default_root())
    console.print("the stack is down")


@main.command()
def status() -> None:
    """What runs, and where."""
    stack = _existing()
    states = runner.states(stack)
    if not states:
        console.print("the stack is down: `make up` starts it")
        return
    table = Table("program", "state", "pid", "since")
    for info in states:
        table.add_row(info["name"], info["statename"], str(info["pid"] or ""), info["description"])
    console.print(table)
    show_addresses(stack)
    show_silence(stack)
    for sentence in runner.disk_faults(stack.root):
        console.print(f"[yellow]{sentence}[/]")


@main.command()
@click.option("--airflow-url", envvar="AIRFLOW_URL", show_envvar=True, help="Instead of the stack's own Airflow.")
@click.option("--password", envvar="AIRFLOW_ADMIN_PASSWORD", show_envvar=True, default="", help="Of its user admin.")
@click.option(
    "--patience-minutes",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="How old the monitor's last look may be.",
)
def check(airflow_url: str | None, password: str, patience_minutes: int) -> None:
    """For cron: silent when all is well, else a line for each fault and exit status 1."""
    stack = None if airflow_url else _existing()
    airflow = airflow_of(stack) if stack else AirflowApi(str(airflow_url), "admin", password)
    found = faults(airflow, now=datetime.now(UTC), patience=timedelta(minutes=patience_minutes))
    found += [*alerting_faults(stack), *runner.disk_faults(stack.root)] if stack else []
    click.echo("\n".join(found), nl=bool(found))
    sys.exit(bool(found))


@main.command()
@click.argument("program", required=False)
@click.option("--lines", type=click.IntRange(1), default=15, show_default=True)
def logs(program: str | None, lines: int) -> None:
    """The last lines of one or all logs."""
    stack = _existing()
    for path in sorted((stack.root / "logs").glob(f"{program or '*'}.log")):
        console.rule(str(path))
        for line in path.read_text(errors="replace").splitlines()[-lines:]:
            console.print(line, markup=False, highlight=False)


@main.command()
def clean() -> None:
    """Stop, and delete data, logs and secrets."""
    runner.clean(default_root())
    console.print("deleted")


@main.command()
def reset() -> None:
    """Empty the product's data while the stack is up: tables, buckets, queues, models."""
    reset_data(_existing())
    console.print("the data is empty")


@main.command()
@click.argument("name", type=click.Choice(NAMES))
def rotate(name: str) -> None:
    """Another value for a secret, from the next start on. The stack has to be down, except for the replicas' tokens."""
    rotate_secret(_existing(), name)
    console.print(f"{name} is another one from now on")


@main.command()
@click.option("--component", type=click.Choice(sorted(KEYS)), default=PIPELINE, help="Whose key of S3 the shell gets.")
def env(component: str) -> None:
    """Variables for a shell, and its `python`: eval "$(.venv/bin/python -m include.stack env)"."""
    stack = _existing()
    demand_complete(stack)
    known = {**environment(stack), **key_of(component, stack.secrets)}
    # Exported to a shell, these would count as a person's choice at the next start.
    for name in sorted(known.keys() - set(CHOICE)):
        click.echo(f"export {name}={shlex.quote(known[name])}")
    click.echo(f'export PATH={shlex.quote(str(bin_folder()))}:"$PATH"')


def review_page(stack: Stack) -> str:
    """Where branch managers look at photos; the Helper service's interface is described at `/docs`."""
    return f"http://127.0.0.1:{stack.port('helper')}/review"


def show_addresses(stack: Stack) -> None:
    """Addresses for people; logins on a terminal only, because what goes to a file others may read."""
    lines = {
        "Airflow": f"http://127.0.0.1:{stack.port('airflow')}  {_login(stack, 'airflow_admin')}",
        "MLflow": f"http://127.0.0.1:{stack.port('mlflow')}  {_login(stack, 'mlflow_admin')}",
        "Review page": review_page(stack),
        "faceserve": f"{' '.join(stack.replicas)}  (gRPC)",
        "Prometheus": f"http://127.0.0.1:{stack.port('prometheus')}",
        "Alertmanager": f"http://127.0.0.1:{stack.port('alertmanager')}",
        "data, logs": str(stack.root),
    }
    for name, text in lines.items():
        # Never wrapped or cut: people copy from here.
        console.print(f"{name:<16}{text}", soft_wrap=True, highlight=False, markup=False)
    for sentence in stack.about_ports:
        console.print(f"[yellow]{sentence}[/]")


def _login(stack: Stack, secret: str) -> str:
    return (
        f"(admin / {stack.secrets.get(secret, '–')})"
        if console.is_terminal
        else "(admin; password: `make status` on a terminal)"
    )


def show_silence(stack: Stack) -> None:
    """Says so when notices or alerts have no way to people."""
    for fault in alerting_faults(stack):
        console.print(f"[yellow]{fault}[/]", highlight=False, soft_wrap=True)
    try:
        if any(airflow_of(stack).has_connection(channel) for channel in ("smtp_default", "notices_webhook")):
            return
    except AirflowError:
        # The table of programs shows whether it runs.
        return
    console.print("[yellow]nobody is told of anything[/]: no connection for notices, see `Being told` in the runbook")


def _existing() -> Stack:
    root: Path = default_root()
    stack = load(root)
    if stack is None:
        raise StackError(f"no stack in {root} yet: `make up` makes one")
    return stack


if __name__ == "__main__":
    try:
        main()
    except (StackError, StackFileError, AirflowError) as error:
        console.print(f"[bold red]cannot go on:[/] {error}", highlight=False)
        sys.exit(1)
