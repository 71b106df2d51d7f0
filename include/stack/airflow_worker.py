"""`python -m include.stack.airflow_worker QUEUES PLACES`: becomes a worker of Airflow that takes tasks of these queues.

A worker asks Airflow's API for all that it has to know, and shows it what came with the task. So it goes without what
opens Airflow's own database or signs in its name; and the copies of all databases are made beside the scheduler.
"""

import os
import sys
from collections.abc import MutableMapping

import click

from include.stack.airflow_program import become_airflow
from include.stack.executor import distributed, executor_variables

NOT_FOR_WORKERS = (
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    "RETRAIN_BACKUP_DSN",
)


def without_what_no_worker_needs(variables: MutableMapping[str, str]) -> None:
    for name in NOT_FOR_WORKERS:
        variables.pop(name, None)


# What follows the two is Airflow's, options too.
_OF_AIRFLOW = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}


@click.command(help=__doc__, context_settings=_OF_AIRFLOW)
@click.argument("queues")
@click.argument("places")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
def main(queues: str, places: str, more: tuple[str, ...]) -> None:
    """`more` is for `airflow celery worker`."""
    if not distributed(os.environ):
        sys.exit("refused: nobody sends tasks to workers, RETRAIN_EXECUTOR=celery is set nowhere")
    without_what_no_worker_needs(os.environ)
    os.environ.update(executor_variables(os.environ))
    # Workers do not talk to each other; their account has no right to.
    quiet = ("--without-mingle", "--without-gossip")
    become_airflow("celery", "worker", "--queues", queues, "--concurrency", places, *quiet, *more)


if __name__ == "__main__":
    main()
