"""Becoming `airflow`: that of the environment which this program runs in."""

import os
import sys
from typing import NoReturn

from include.stack.layout import bin_folder


def become_airflow(*words: str) -> NoReturn:
    """Signals reach it directly. Not looked for on PATH: that of cron is short. Exit status 1 when it is missing."""
    program = bin_folder() / "airflow"
    try:
        os.execv(program, ["airflow", *words])
    except OSError as error:
        sys.exit(f"{program}: {error.strerror}; start this with the Python of the environment that has Airflow")
