"""The PostgreSQL server that is backed up, copied by `pg_basebackup` over the network (ADR 0018)."""

import re
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from pipeline.adapters.mlops_db import connect
from pipeline.adapters.postgres_programs import program, variables
from pipeline.domain.backups import Segment
from pipeline.domain.errors import GiveUp, ServiceUnavailable
from pipeline.ports.backups import Copied, Mark, Stream

_NAME = "the database that is backed up"
_BEGINS = re.compile(r"log start point: ([0-9A-F]+/[0-9A-F]+) on timeline (\d+)")
# A restore stops before the first later commit, so there has to be one; this one changes nothing.
_MARK = "SELECT clock_timestamp(), txid_current()"


class PostgresCluster:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def copy(self, keep: Callable[[Stream], int]) -> Copied:
        command = [program("pg_basebackup"), "--pgdata=-", "--format=tar", "--wal-method=fetch", "--checkpoint=fast"]
        command += ["--compress=client-gzip:1", "--no-password", "--verbose"]
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen(command, env=variables(self._dsn), stdout=subprocess.PIPE, stderr=said) as copying:
                assert copying.stdout is not None
                try:
                    kept = keep(copying.stdout)
                except BaseException:
                    copying.kill()
                    raise
            said.seek(0)
            told = said.read().decode(errors="replace")
        if copying.returncode != 0:
            raise ServiceUnavailable(_NAME, " ".join(told.split())[-300:])
        begins = _BEGINS.search(told)
        assert begins is not None, told
        return Copied(Segment.of_position(begins[1], int(begins[2])), self.mark().at, kept)

    def mark(self) -> Mark:
        with closing(connect(self._dsn, _NAME)) as connection:
            try:
                at, _ = _asked(connection, _MARK)
                (file,) = _asked(connection, "SELECT pg_walfile_name(pg_switch_wal())")
            except psycopg2.errors.InsufficientPrivilege as error:
                raise GiveUp(f"{str(error).splitlines()[0]}: RETRAIN_BACKUP_DSN names the role `backup`") from error
        return Mark(at, str(file))


def _asked(connection: Connection, query: str) -> Any:
    """The only row of the answer, in a transaction of its own."""
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()
