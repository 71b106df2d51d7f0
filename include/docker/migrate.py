"""`python -m include.docker.migrate`: roles, tables, buckets, Airflow's login and pools. May run twice."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import boto3

from include.docker.demands import demand_start
from include.docker.doors import demand_entry, demand_superuser
from include.stack.layout import ALL_BUCKETS, REPOSITORY, bin_folder
from include.stack.logins import keep_logins
from include.stack.own_tables import TablesError, migrate_airflow, migrate_mlflow
from include.stack.postgres import migrate
from include.stack.roles import OWN, ROLES, grant, hand_over, make_roles
from pipeline.bootstrap import GiveUp

log = logging.getLogger(__name__)

_POOLS = REPOSITORY / "include/stack/pools.json"


def roles() -> None:
    make_roles(os.environ["POSTGRES_ADMIN_DSN"], {role: os.environ[f"{role}_DB_PASSWORD".upper()] for role in ROLES})


def tables() -> None:
    hand_over(os.environ["POSTGRES_ADMIN_DSN"])
    for database in OWN:
        dsn = os.environ[f"{database.owner}_DSN".upper()]
        migrate(dsn, REPOSITORY / "include" / "sql" / database.name)
        grant(dsn, database)


def buckets() -> None:
    s3 = boto3.client("s3", endpoint_url=os.environ["RETRAIN_S3_ENDPOINT"])
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket in ALL_BUCKETS:
        if bucket not in existing:
            s3.create_bucket(Bucket=bucket)


def airflow() -> None:
    passwords = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    keep_logins(passwords, os.environ["AIRFLOW_ADMIN_PASSWORD"])
    migrate_airflow({})
    subprocess.run([str(bin_folder() / "airflow"), "pools", "import", str(_POOLS)], check=True)


def mlflow() -> None:
    migrate_mlflow(os.environ["MLFLOW_BACKEND_STORE_URI"])


def models() -> None:
    """Replicas take nothing unsigned, and a release without keys left only that."""
    command = [sys.executable, "-m", "include.stack.signing_keys", os.environ["RETRAIN_SIGNING_KEY"]]
    if status := subprocess.run(command, check=False).returncode:
        # It has said why.
        sys.exit(status)


def main() -> None:
    """Nothing is changed for an installation that could not start."""
    try:
        for step in (demand_start, demand_superuser, roles, demand_entry, tables, buckets, models, mlflow, airflow):
            log.info("%s", step.__name__)
            step()
    except (GiveUp, TablesError) as error:
        sys.exit(f"refused: {error}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    main()
