"""A cluster rebuilt of a copy and the log after it, on a socket that only this user reaches (ADR 0018)."""

import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote, urlencode

import psycopg2

from include.stack.migrations import MIGRATIONS, migrate
from pipeline.adapters.postgres_programs import as_nobody_in_particular, give_to_postgres, program, variables
from pipeline.domain.errors import GiveUp
from pipeline.ports.backups import Stream

_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error)
_PORT, _POLL_SECONDS, _STOP_SECONDS = 5432, 0.2, 60.0


@dataclass
class RebuiltCluster:
    home: Path
    release: str
    _server: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.home / "data"

    def dsn(self, database: str) -> str:
        return f"host={self.home} port={_PORT} user=postgres dbname={database}"

    def damage(self) -> str:
        """Reads every table to its end, and checks the order of every index."""
        command = [program("pg_amcheck", self.release), "--all", "--install-missing", "--no-password"]
        told = variables(self.dsn("postgres"))
        asked = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
        return " ".join((asked.stdout + asked.stderr).split())[:500] if asked.returncode != 0 else ""

    def bring_up_to_date(self, database: str) -> None:
        """As the databases' owner, who changes them again later."""
        connection = psycopg2.connect(self.dsn(database))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", (database,))
                ((owner,),) = cursor.fetchall()
        finally:
            connection.close()
        where = urlencode({"host": self.home, "port": _PORT})
        migrate(f"postgresql://{quote(owner, safe='')}@/{database}?{where}", MIGRATIONS / database)

    def hand_over(self, into: Path) -> None:
        self.stop()
        owner = self.data.stat()
        shutil.move(self.data, into)
        # A move to another file system makes a copy that belongs to whoever copies; PostgreSQL only takes files of its
        # own.
        for path in (into, *into.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def start(self, log: Path, at: datetime) -> None:
        """Start, and wait until the state of that moment is reached; raises `GiveUp` when it cannot be."""
        said = self.home / "said"
        with said.open("wb") as out:
            self._server = subprocess.Popen(
                self._command(log, at), stdout=out, stderr=subprocess.STDOUT, cwd="/", **as_nobody_in_particular()
            )
        while not self._answers():
            if self._server.poll() is not None:
                raise GiveUp(f"the databases were not rebuilt: {_why(said)}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Shuts down fast and cleanly: a moved cluster has to start without recovery."""
        if self._server is None or self._server.poll() is not None:
            return
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def _command(self, log: Path, at: datetime) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.home),
            "port": str(_PORT),
            "hba_file": str(self.home / "pg_hba.conf"),
            # Its owner's settings are for another machine, and may name files that are not here.
            "ssl": "off",
            "archive_mode": "off",
            "hot_standby": "off",
            "shared_buffers": "64MB",
            "logging_collector": "off",
            "restore_command": f"test -f {log}/%f.gz && gzip -dc {log}/%f.gz > %p",
            "recovery_target_time": at.isoformat(),
            "recovery_target_action": "promote",
            "recovery_target_timeline": "latest",
        }
        words = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [program("postgres", self.release), "-D", str(self.data), *words]

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.dsn("postgres"), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True


class PostgresBuilder:
    """Builds in `scratch`, by default where the system keeps temporary files; the whole cluster and its log have to
    fit.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        self._scratch = scratch

    @contextmanager
    def rebuild(self, copy: Stream, fetch_log: Callable[[Path], None], at: datetime) -> Iterator[RebuiltCluster]:
        home = Path(tempfile.mkdtemp(prefix="rebuilt-", dir=self._scratch))
        try:
            _unpack(copy, home / "data")
            log = home / "log"
            log.mkdir()
            fetch_log(log)
            cluster = RebuiltCluster(home, (home / "data/PG_VERSION").read_text().strip())
            _demand_whole(cluster)
            (home / "pg_hba.conf").write_text("local all all trust\n")
            (cluster.data / "recovery.signal").touch()
            give_to_postgres(home, log, *log.iterdir(), home / "pg_hba.conf", cluster.data / "recovery.signal")
            try:
                cluster.start(log, at)
                yield cluster
            finally:
                cluster.stop()
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _unpack(copy: Stream, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], copy), mode="r|gz") as tar:
            for member in tar:
                tar.extract(member, folder, filter="data")
                give_to_postgres(folder / member.name)
    except _DAMAGED as error:
        raise GiveUp(f"the backup cannot be unpacked ({error}): use an older one") from error
    folder.chmod(0o700)
    give_to_postgres(folder)


def _demand_whole(cluster: RebuiltCluster) -> None:
    """Raises `GiveUp` unless every file is as it was when it was copied."""
    command = [program("pg_verifybackup", cluster.release), "--no-parse-wal", "--quiet", str(cluster.data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GiveUp(f"the backup is damaged, use an older one: {' '.join(done.stderr.split())[:300]}")


def _why(said: Path) -> str:
    lines = said.read_text(errors="replace").splitlines()
    fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    return fatal[-1] if fatal else (lines[-1] if lines else "no word of it")
