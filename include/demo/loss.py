"""A table is dropped by mistake, and comes back from the backups while everything else goes on."""

import os
import subprocess
import time

from include.demo.stage import Stage
from include.stack.postgres import query
from include.stack.services import StackError, executable
from pipeline.bootstrap import Pipeline

# Nothing writes to it while the monitor is paused.
_TABLE = "live_accuracy_readings"
_BINARIES = "/usr/lib/postgresql/*/bin"


def lose_a_table(stage: Stage, pipeline: Pipeline) -> None:
    """Restored to the moment before; its rows, and who may read them, are as they were."""
    stage.act(f"Somebody drops table {_TABLE}; it comes back as it was the moment before")
    before = _rows(stage)
    moment = pipeline.restorable_moment()
    query(stage.stack.dsn("mlops_owner", "mlops"), f"DROP TABLE {_TABLE}")
    began = time.monotonic()
    with pipeline.rebuilt_databases(moment) as cluster:
        _copy_table(cluster.dsn("mlops"), stage.stack.dsn("postgres", "mlops"))
    seconds = round(time.monotonic() - began, 1)
    stage.say(f"{len(before)} rows are back after {seconds} s, everything else went on")
    stage.report.record(table_restored_seconds=seconds, rows_restored=len(before))
    stage.report.demand(bool(before) and _rows(stage) == before, "the dropped table came back as it was")


def _rows(stage: Stage) -> list[tuple[object, ...]]:
    """As the role reads them that works with the table."""
    return sorted(stage.query(f"SELECT id FROM {_TABLE}"))


def _copy_table(source: str, target: str) -> None:
    dump = [executable("pg_dump", _BINARIES), f"--table={_TABLE}", source]
    load = [executable("psql", _BINARIES), "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    dumped = subprocess.run(dump, capture_output=True, check=False)
    loaded = subprocess.run(
        load, input=dumped.stdout, capture_output=True, env={**os.environ, **_variables(target)}, check=False
    )
    if dumped.returncode or loaded.returncode:
        raise StackError(" ".join((dumped.stderr + loaded.stderr).decode(errors="replace").split())[:300])


def _variables(dsn: str) -> dict[str, str]:
    """For libpq: a password is no word of a command."""
    from psycopg2.extensions import parse_dsn

    names = {"dbname": "PGDATABASE"}
    return {names.get(name, f"PG{name.upper()}"): value for name, value in parse_dsn(dsn).items()}
