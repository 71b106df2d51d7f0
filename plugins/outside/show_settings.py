"""`python -m plugins.outside.show_settings`: every setting as Airflow's tasks have it, and where each comes from.

Not called `__main__`: Airflow imports the files of this folder under their own names.
"""

import os
import sys

import click

from plugins.outside.pipeline import ask_airflow


def show_settings() -> str:
    """As `python -m pipeline settings`; secrets are masked."""
    from pipeline.bootstrap.settings_listing import settings_as_text

    return settings_as_text(ask_airflow)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    from pipeline.bootstrap import GiveUp, TryAgain

    # Else Airflow takes this for a task without an api-server, and does not look into its own database.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    try:
        print(show_settings())
    except (GiveUp, TryAgain) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
