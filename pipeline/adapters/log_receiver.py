"""The write-ahead log as it is written, fetched by `pg_receivewal` (ADR 0018)."""

import logging
import subprocess
from contextlib import closing
from pathlib import Path

from pipeline.adapters.mlops_db import connect
from pipeline.adapters.postgres_programs import program, variables
from pipeline.domain.errors import ServiceUnavailable

log = logging.getLogger(__name__)

_SLOT = "retraining_backup"
_LOST = "SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = %s"
_NAME = "the database that is backed up"


class PostgresLogReceiver:
    """`folder` holds what is on its way. The server keeps the log in a slot until it was fetched."""

    def __init__(self, dsn: str, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._dsn, self._folder = dsn, folder
        self._receiving: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Starts receiving. Complete files were handed on before; what is left of the last file is fetched anew,
        because a restored server may go on before it.
        """
        for path in self._folder.iterdir():
            path.unlink()
        self._drop_lost_slot()
        command = [program("pg_receivewal"), f"--directory={self._folder}", f"--slot={_SLOT}", "--no-password"]
        made = subprocess.run(
            [*command, "--create-slot", "--if-not-exists"],
            env=variables(self._dsn),
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise ServiceUnavailable(_NAME, " ".join(made.stderr.split())[-300:])
        self._receiving = subprocess.Popen([*command, "--no-loop"], env=variables(self._dsn))

    def complete(self) -> list[Path]:
        """Complete files, in order."""
        return sorted(path for path in self._folder.iterdir() if path.suffix in {"", ".history"})

    def demand_receiving(self) -> None:
        """Raises `ServiceUnavailable` when the server went away."""
        if self._receiving is None or self._receiving.poll() is not None:
            raise ServiceUnavailable(_NAME, "pg_receivewal ended, its own words are above")

    def end(self) -> None:
        if self._receiving is not None:
            self._receiving.terminate()
            self._receiving.wait()

    def _drop_lost_slot(self) -> None:
        """The server kept the log as long as its disk allowed; the missing part is lost, and a new copy has to
        be made.
        """
        with closing(connect(self._dsn, _NAME)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(_LOST, (_SLOT,))
            if cursor.fetchone() == (True,):
                log.error("the log has a hole: nobody fetched it for too long. A new copy is needed: DAG `backup`")
                cursor.execute("SELECT pg_drop_replication_slot(%s)", (_SLOT,))
