"""`python -m include.stack.airflow_history`: throws away what Airflow keeps of runs that are long over.

Nothing of ours reads it: who served when, verdicts and decisions are in the database of the application. A task may not
reach Airflow's tables, so no DAG can do this.
"""

import os
from datetime import UTC, datetime, timedelta

import click

# Longer than any run lasts: a rollback may wait nine days for its last replica.
_LEAST_DAYS = 14


@click.command()
@click.option(
    "--days",
    type=click.IntRange(_LEAST_DAYS),
    default=90,
    envvar="AIRFLOW_HISTORY_DAYS",
    show_default=True,
    show_envvar=True,
    help="Days that runs, logs of acts and XComs are kept.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def main(days: int, dry_run: bool) -> None:
    """Becomes `airflow db clean`, for the Airflow whose AIRFLOW__… variables are set here."""
    before = datetime.now(UTC) - timedelta(days=days)
    how = ["--dry-run"] if dry_run else ["--yes", "--skip-archive", "--error-on-cleanup-failure"]
    os.execvp("airflow", ["airflow", "db", "clean", "--clean-before-timestamp", before.isoformat(), *how])


if __name__ == "__main__":
    main()
