"""A PostgreSQL cluster of our own: initialised, started, databases and roles made, migrations applied."""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg2

from include.stack.knowing import told
from include.stack.layout import Stack, bin_folder
from include.stack.migrations import MIGRATIONS, migrate
from include.stack.roles import OWN, RECEIVER, grant, hand_over, make_roles
from include.stack.services import Program, Service, StackError, executable
from include.stack.supervision import Supervision

_BINARIES = "/usr/lib/postgresql/*/bin"
_NOTE = "password_of_the_stack"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "150",
    "shared_buffers": "96MB",
    "logging_collector": "off",
    "timezone": "UTC",
    # At most the last minute is lost with the machine; a log that nobody fetches must not fill the disk.
    "archive_timeout": "60",
    "max_slot_wal_keep_size": "4GB",
}


def postgres(stack: Stack) -> Service:
    data = stack.folder("postgres") / "data"
    options = {**_SETTINGS, "port": str(stack.port("postgres"))}
    flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command = (*_unprivileged(), executable("postgres", _BINARIES), "-D", str(data), *flags)
    program = Program(
        "postgres",
        command,
        lambda: answers(stack),
        stop_signal="INT",
        # Killed before it has stopped, it leaves processes behind that keep the next one out.
        stop_seconds=60,
        ready_seconds=180,
    )

    def prepare() -> None:
        _initialise(stack, data)
        _give_password(stack, data)

    return Service("postgres", (program,), prepare=prepare, finish=lambda: _create(stack))


def log_receiver(stack: Stack) -> Service:
    """Brings the log of the databases to S3 as it is written, and the first copy where there is none."""
    folder = stack.folder("log-on-its-way")
    command = (str(bin_folder() / "python"), "-m", "pipeline", "backups", "receive-log", str(folder))
    program = Program(
        "log_receiver",
        command,
        lambda: _is_copied(stack),
        environment={
            **told(stack, "RETRAIN_BACKUP_", key="log-receiver"),
            "RETRAIN_MLOPS_DSN": stack.dsn(RECEIVER, "mlops"),
        },
        ready_seconds=240,
        code=("pipeline",),
    )
    return Service("backups", (program,), after=("postgres", "s3"))


def _is_copied(stack: Stack) -> bool:
    return bool(query(stack.dsn("backup", "postgres"), "SELECT 1 FROM pg_replication_slots WHERE active"))


def answers(stack: Stack) -> bool:
    try:
        psycopg2.connect(stack.dsn("postgres", "postgres"), connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def query(dsn: str, statements: str, values: Any = None) -> list[tuple[Any, ...]]:
    """Run statements in one transaction on a connection of their own; rows of the last one, none if it has none."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statements, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _unprivileged() -> tuple[str, ...]:
    """PostgreSQL refuses to run as root. Started by root it runs as user `postgres`, with the one capability that lets
    it reach a data folder inside a home that is closed to others.
    """
    if os.geteuid() != 0:
        return ()
    ids = pwd.getpwnam("postgres")
    capability = "+dac_override"
    return (
        executable("setpriv"),
        f"--reuid={ids.pw_uid}",
        f"--regid={ids.pw_gid}",
        "--clear-groups",
        f"--inh-caps={capability}",
        f"--ambient-caps={capability}",
    )


def _initialise(stack: Stack, data: Path) -> None:
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    password = stack.folder("postgres") / "password"
    password.touch(mode=0o600)
    password.write_text(stack.secrets["postgres"])
    _give_to_postgres(data, password)
    initdb = [executable("initdb", _BINARIES), "-D", str(data), "-U", "postgres", f"--pwfile={password}"]
    options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    done = subprocess.run([*_unprivileged(), *initdb, *options], capture_output=True, text=True, check=False, cwd="/")
    password.unlink()
    if done.returncode != 0:
        raise StackError(f"initdb failed: {done.stderr.strip()[-500:]}")
    _note_password(stack, data)


def _give_to_postgres(*paths: Path) -> None:
    if os.geteuid() == 0:
        ids = pwd.getpwnam("postgres")
        for path in paths:
            os.chown(path, ids.pw_uid, ids.pw_gid)


def _give_password(stack: Stack, data: Path) -> None:
    """Its superuser makes the other roles, and nobody makes it: while it is down its password becomes the stack's.

    It was another one where the secret changed, or a backup from before that came back.
    """
    note = data / _NOTE
    if (note.exists() and note.read_text() == _mark(stack)) or answers(stack):
        return
    # An error ends it, and quotes no statement: the password is in there.
    settings = ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic"]
    command = [*_unprivileged(), executable("postgres", _BINARIES), "--single", "-D", str(data), *settings, "postgres"]
    password = stack.secrets["postgres"].replace("'", "''")
    told = f"ALTER ROLE postgres PASSWORD '{password}'\n"
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise StackError(f"PostgreSQL's superuser got no password: {done.stderr.strip()[-500:]}")
    _note_password(stack, data)


def _note_password(stack: Stack, data: Path) -> None:
    """Kept among the data, so that a backup brings the matching password back."""
    note = data / _NOTE
    note.touch(mode=0o600)
    _give_to_postgres(note)
    note.write_text(_mark(stack))


def _mark(stack: Stack) -> str:
    return hashlib.sha256(stack.secrets["postgres"].encode()).hexdigest()


def _create(stack: Stack) -> None:
    """Roles, databases and tables; what exists already is left alone."""
    superuser = stack.dsn("postgres", "postgres")
    make_roles(superuser, stack.secrets)
    hand_over(superuser, before=lambda: _demand_nobody_writes(stack))
    for database in OWN:
        dsn = stack.dsn(database.owner, database.name)
        migrate(dsn, MIGRATIONS / database.name, before=lambda: _demand_nobody_writes(stack))
        grant(dsn, database)


def _demand_nobody_writes(stack: Stack) -> None:
    """Running programs expect the tables they started with, and go on writing to them."""
    running = [s["name"] for s in Supervision(stack).states() if s["statename"] in {"RUNNING", "STARTING"}]
    if old := sorted(name for name in running if name.startswith(("airflow_", "helper"))):
        raise StackError(f"the tables change while {', '.join(old)} run: `make down`, then `make up`")
