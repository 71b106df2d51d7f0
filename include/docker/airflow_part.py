"""`python -m include.docker.airflow_part scheduler`: a part of Airflow, unless a setting is refused."""

import sys

from include.stack.airflow_program import become_airflow
from pipeline.bootstrap import GiveUp
from pipeline.bootstrap.settings_at_start import demand_settings


def main(part: str) -> None:
    """Becomes the part, so that signals reach it."""
    try:
        demand_settings()
    except GiveUp as error:
        sys.exit(f"refused: {error}")
    become_airflow(part)


if __name__ == "__main__":
    main(*sys.argv[1:])
