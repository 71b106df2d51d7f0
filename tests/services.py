"""Real PostgreSQL, RabbitMQ and S3 of the tests' own: private ports and folders, gone at the end."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import psycopg2

from include.stack import reset, runner
from include.stack.layout import BUCKETS, Stack, environment
from include.stack.roles import OWN
from include.stack.services import Program
from include.stack.supervision import Supervision
from pipeline.adapters.mlops_db import MlopsDatabase


@dataclass(frozen=True)
class Services:
    stack: Stack

    @property
    def mlops(self) -> MlopsDatabase:
        return MlopsDatabase(self.stack.dsn("mlops", "mlops"))

    @property
    def owner(self) -> MlopsDatabase:
        """With the rights of an upgrade: what even its owner may not do, nobody may."""
        return MlopsDatabase(self.stack.dsn("mlops_owner", "mlops"))

    def program(self, name: str) -> Program:
        return next(p for s in runner.all_services(self.stack) for p in s.programs if p.name == name)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """`name` is stopped inside, and answers again afterwards."""
        supervision = Supervision(self.stack)
        supervision.stop(name)
        try:
            yield
        finally:
            supervision.start(self.program(name))

    def truncate(self, database: str) -> None:
        """Every table of one of our own databases."""
        reset.truncate(self.stack.dsn(f"{database}_owner", database))

    def empty(self) -> None:
        """As just installed."""
        for database in OWN:
            self.truncate(database.name)
        # A look at the disk costs less than a question, and most tests store nothing.
        if filled := [one for one in BUCKETS if any((self.stack.folder("s3") / one).iterdir())]:
            reset.empty(self.stack, filled)
        reset.purge(self.stack.amqp_url)


@contextmanager
def running(root: Path, names: Sequence[str]) -> Iterator[Services]:
    """The services named, with the credentials of their S3 in this process's environment meanwhile."""
    before = dict(os.environ)
    try:
        stack = runner.up(root, lambda text: None, names, preferred_ports=False)
        if "postgres" in names:
            _let_the_disk_be_late(stack)
        os.environ |= {k: v for k, v in environment(stack).items() if k.startswith(("AWS_", "MLFLOW_"))}
        _forget_credentials()
        yield Services(stack)
    finally:
        os.environ.clear()
        os.environ |= before
        _forget_credentials()
        runner.clean(root)


def _let_the_disk_be_late(stack: Stack) -> None:
    """What a killed process wrote is with the system; only a machine that loses its power would lose it."""
    connection = psycopg2.connect(stack.dsn("postgres", "postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET fsync = off")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()


def _forget_credentials() -> None:
    """boto3 keeps those that it found first, of a store that may be gone."""
    boto3.setup_default_session()
