"""`python -m include.stack.airflow_history`: throws away what Airflow keeps of runs that are long over.

Nothing of ours reads it: who served when, verdicts and decisions are in the database of the application. A task may not
reach Airflow's tables, so no DAG can do this.
"""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import psycopg2

from include.stack.airflow_program import become_airflow
from include.stack.knowing import tasks_by
from include.stack.layout import default_root, load

# Longer than any run lasts: a rollback may wait nine days for its last replica.
_LEAST_DAYS = 14
_RESULTS = "AIRFLOW__CELERY__RESULT_BACKEND"


@click.command()
@click.option(
    "--days",
    type=click.IntRange(_LEAST_DAYS),
    default=90,
    envvar="AIRFLOW_HISTORY_DAYS",
    show_default=True,
    show_envvar=True,
    help="Days that runs, logs of acts, XComs and files of logs are kept.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def main(days: int, dry_run: bool) -> None:
    """Removes old files of logs, then becomes `airflow db clean`: for the Airflow whose variables are set here."""
    before = datetime.now(UTC) - timedelta(days=days)
    old = list(_last_written(_log_folder(), before))
    click.echo(f"{len(old)} files of logs in {_log_folder()} {'would go' if dry_run else 'go'}")
    for path in () if dry_run else old:
        _remove(path)
    if not dry_run:
        _forget_what_workers_told(before)
    how = ["--dry-run"] if dry_run else ["--yes", "--skip-archive", "--error-on-cleanup-failure"]
    become_airflow("db", "clean", "--clean-before-timestamp", before.isoformat(), *how)


def _forget_what_workers_told(before: datetime) -> None:
    """Deletes Celery's results of old tasks; Celery's own program for that does not run here."""
    results = _results()
    if not results:
        return
    dsn = results.replace("db+postgresql+psycopg2://", "postgresql://")
    try:
        with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('celery_taskmeta') IS NOT NULL")
            if cursor.fetchone() == (True,):
                cursor.execute("DELETE FROM celery_taskmeta WHERE date_done < %s", (before.replace(tzinfo=None),))
                click.echo(f"{cursor.rowcount} words of workers go")
    except psycopg2.OperationalError as error:
        # Without workers there may be no such database; everything else is deleted all the same.
        click.echo(f"words of workers stay: {error}", err=True)


def _results() -> str:
    """The database of results. In the local stack only two programs are told its address, and a shell is not."""
    if said := os.environ.get(_RESULTS):
        return said
    stack = load(default_root()) if "STACK_DIR" in os.environ else None
    return tasks_by(stack, "airflow").get(_RESULTS, "") if stack and stack.choice else ""


def _log_folder() -> Path:
    """Where Airflow writes what its tasks and its parser say: a file for every try."""
    home = os.environ.get("AIRFLOW_HOME", "~/airflow")
    return Path(os.environ.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER", f"{home}/logs")).expanduser()


def _last_written(folder: Path, before: datetime) -> Iterator[Path]:
    for path in folder.rglob("*.log"):
        if path.is_file() and not path.is_symlink() and path.stat().st_mtime < before.timestamp():
            yield path


def _remove(path: Path) -> None:
    """The file, and the folders that held nothing else."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        for folder in path.relative_to(_log_folder()).parents[:-1]:
            (_log_folder() / folder).rmdir()


if __name__ == "__main__":
    main()
