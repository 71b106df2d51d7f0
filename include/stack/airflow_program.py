"""Becoming `airflow`: the one of the environment in which this program runs."""

import os
import sys
from typing import NoReturn

from include.stack.layout import bin_folder


def become_airflow(*words: str) -> NoReturn:
    """Replaces this process, so that signals reach it directly. PATH is not searched, because cron's is short. Exit
    status 1 when it is missing.
    """
    program = bin_folder() / "airflow"
    try:
        os.execv(program, ["airflow", *words])
    except OSError as error:
        sys.exit(f"{program}: {error.strerror}; start this with the Python of the environment that has Airflow")
