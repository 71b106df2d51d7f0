"""Tables that Airflow and MLflow make for themselves: brought up to date with the release that is installed.

`python -m include.stack.own_tables` does it for MLflow's in `MLFLOW_BACKEND_STORE_URI`.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import click

from include.stack.executor import pools
from include.stack.layout import bin_folder
from include.stack.variables import demanded

_END_OF_OUTPUT = 300


class TablesError(RuntimeError):
    """Tables could not be brought up to date; one sentence with the end of what the program said."""


def migrate_airflow(variables: Mapping[str, str]) -> None:
    """Raises `TablesError`. `variables` are Airflow's."""
    _run([str(bin_folder() / "airflow"), "db", "migrate"], variables)


def import_pools(variables: Mapping[str, str]) -> None:
    """Imports the pools that DAGs name into the Airflow with these variables; raises `TablesError`."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(pools(variables), file)
        file.flush()
        _run([str(bin_folder() / "airflow"), "pools", "import", file.name], variables)


def encrypt_anew(variables: Mapping[str, str]) -> None:
    """Encrypts anew what Airflow keeps encrypted, with the first of its Fernet keys; raises `TablesError`."""
    _run([str(bin_folder() / "airflow"), "rotate-fernet-key"], variables)


def migrate_mlflow(dsn: str) -> None:
    """Makes the tables or upgrades them, which the server does only when there are none; raises `TablesError`."""
    parts = urlsplit(dsn)
    # Anybody on the machine sees the words of a command, so the password goes another way.
    without = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")).geturl()
    password = {"PGPASSWORD": parts.password} if parts.password else {}
    _run([str(bin_folder() / "mlflow"), "db", "upgrade", without], {**password, "MLFLOW_DISABLE_TELEMETRY": "true"})


def once_a_release(stamp: Path, package: str, migrate: Callable[[], None]) -> None:
    """`migrate`, unless the file `stamp` says that this release of the package did."""
    _once(stamp, version(package), migrate)


def once_a_key(stamp: Path, key: str, encrypt: Callable[[], None]) -> None:
    """`encrypt`, unless the file `stamp` says that it was done with this key."""
    _once(stamp, hashlib.sha256(key.encode()).hexdigest(), encrypt)


def _once(stamp: Path, mark: str, act: Callable[[], None]) -> None:
    if not stamp.exists() or stamp.read_text() != mark:
        act()
        stamp.write_text(mark)


def _run(command: list[str], variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stdout.split())[-_END_OF_OUTPUT:]
        raise TablesError(f"{' '.join(command[1:3])} of {command[0]} failed: …{said}")


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    try:
        migrate_mlflow(demanded({"store": "MLFLOW_BACKEND_STORE_URI"})["store"])
    except TablesError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
