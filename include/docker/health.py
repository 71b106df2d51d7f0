"""`python -m include.docker.health …`: exit status 0 when a service answers; what the healthchecks of Compose ask.

`http URL` wants status 200, `port HOST NUMBER` a connection, `airflow PART` Airflow's own word that the part is well,
`runs PROGRAM` a process of that name in this container.
"""

import os
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import click

_SECONDS = 4


def http(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
        return int(answer.status) == 200


def port(host: str, number: str) -> bool:
    with socket.create_connection((host, int(number)), timeout=_SECONDS):
        return True


def airflow(part: str) -> bool:
    """`part` as the api-server's health page names it, e.g. `dag_processor`."""
    from include.stack.airflow_api import AirflowApi

    return AirflowApi(os.environ["AIRFLOW_URL"], timeout_seconds=_SECONDS).health()[part] == "healthy"


def runs(program: str) -> bool:
    return any(path.read_text().strip() == program for path in Path("/proc").glob("[0-9]*/comm"))


_CHECKS: Mapping[str, Callable[..., bool]] = {"http": http, "port": port, "airflow": airflow, "runs": runs}


def healthy(kind: str, *arguments: str) -> bool:
    try:
        return _CHECKS[kind](*arguments)
    except (OSError, KeyError, RuntimeError) as error:
        print(f"{kind} {' '.join(arguments)}: {error!r}", file=sys.stderr)
        return False


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("kind", type=click.Choice(list(_CHECKS)))
@click.argument("arguments", nargs=-1)
def main(kind: str, arguments: tuple[str, ...]) -> None:
    sys.exit(not healthy(kind, *arguments))


if __name__ == "__main__":
    main()
