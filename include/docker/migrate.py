"""`python -m include.docker.migrate`: roles, tables, buckets, Airflow's login and pools. May run twice.

Where others do some of it, as in Kubernetes, the steps that are wanted are named: `… demand_start tables airflow`.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import boto3
import click
from botocore.exceptions import ClientError

from include.docker.demands import demand_start
from include.docker.doors import demand_entry, demand_superuser
from include.stack.layout import buckets as all_buckets
from include.stack.logins import SECRETS, keep_logins
from include.stack.migrations import MIGRATIONS, migrate
from include.stack.own_tables import TablesError, import_pools, migrate_airflow, migrate_mlflow
from include.stack.roles import OWN, ROLES, grant, hand_over, make_roles
from pipeline.bootstrap import GiveUp

log = logging.getLogger(__name__)


def roles() -> None:
    make_roles(os.environ["POSTGRES_ADMIN_DSN"], {role: os.environ[f"{role}_DB_PASSWORD".upper()] for role in ROLES})


def tables() -> None:
    """Of every database whose owner is known here; of another release's only role none is left without a superuser."""
    if superuser := os.environ.get("POSTGRES_ADMIN_DSN"):
        hand_over(superuser)
    for database in OWN:
        if dsn := os.environ.get(f"{database.owner}_DSN".upper()):
            log.info("tables of %s", database.name)
            migrate(dsn, MIGRATIONS / database.name)
            grant(dsn, database)


def buckets() -> None:
    """Those that are missing. Where S3 obeys policies, ours may make none, nor look into those of other components.

    Raises `GiveUp` for one that is missing and may not be made, and for a key that is let in nowhere.
    """
    endpoint = os.environ["RETRAIN_S3_ENDPOINT"]
    s3 = boto3.client("s3", endpoint_url=endpoint)
    wanted = all_buckets(os.environ)
    answers = {bucket: _status(s3.head_bucket, bucket) for bucket in wanted}
    closed = [bucket for bucket, status in answers.items() if status == HTTPStatus.FORBIDDEN]
    if len(closed) == len(wanted):
        raise GiveUp(f"{endpoint} lets our key into none of {', '.join(closed)}")
    if closed:
        log.info("not ours to look into, so they have to be there: %s", ", ".join(closed))
    missing = [bucket for bucket, status in answers.items() if status == HTTPStatus.NOT_FOUND]
    if refused := [one for one in missing if _status(s3.create_bucket, one) == HTTPStatus.FORBIDDEN]:
        raise GiveUp(f"missing, and our key may make none: {', '.join(refused)}; make them with an administrator's")


def _status(act: Callable[..., object], bucket: str) -> int:
    """Of the answer; raises what is neither about rights nor about what is there."""
    try:
        act(Bucket=bucket)
    except ClientError as error:
        status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        if status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return status
        raise
    return HTTPStatus.OK


def logins() -> None:
    passwords = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    keep_logins(passwords, {login: os.environ[f"{one}_PASSWORD".upper()] for login, one in SECRETS.items()})


def airflow() -> None:
    """Its tables, and the pools that our tasks wait in: without its pool none ever starts."""
    migrate_airflow({})
    import_pools(os.environ)


def mlflow() -> None:
    migrate_mlflow(os.environ["MLFLOW_BACKEND_STORE_URI"])


def models() -> None:
    """Replicas take nothing unsigned, and a release without keys left only that."""
    command = [sys.executable, "-m", "include.stack.signing_keys", os.environ["RETRAIN_SIGNING_KEY"]]
    if status := subprocess.run(command, check=False).returncode:
        # It has said why.
        sys.exit(status)


STEPS: dict[str, Callable[[], None]] = {
    step.__name__: step
    for step in (demand_start, demand_superuser, roles, demand_entry, tables, buckets, models, mlflow, logins, airflow)
}


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("wanted", nargs=-1, type=click.Choice(list(STEPS)), metavar="[STEP]…")
def main(wanted: tuple[str, ...]) -> None:
    """The steps of these names, all by default. Nothing is changed for an installation that could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        for name in wanted or STEPS:
            log.info("%s", name)
            STEPS[name]()
    except (GiveUp, TablesError) as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    main()
