"""`python -m include.docker.airflow_part scheduler`: a part of Airflow, unless a setting or secret is refused."""

import os
import sys

import click

from include.docker.demands import demand_start
from include.stack.airflow_program import become_airflow
from include.stack.executor import distributed, executor_variables
from pipeline.bootstrap import GiveUp


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("part")
def main(part: str) -> None:
    """Becomes the part, so that signals reach it."""
    try:
        demand_start()
    except GiveUp as error:
        sys.exit(f"refused: {error}")
    if distributed(os.environ):
        os.environ.update(executor_variables(os.environ))
    become_airflow(part)


if __name__ == "__main__":
    main()
