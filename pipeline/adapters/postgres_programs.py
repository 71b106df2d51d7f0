"""PostgreSQL's own programs: where they are, whom they run as, and how they are told a password."""

import os
import pwd
import re
from pathlib import Path
from typing import Any

from psycopg2.extensions import parse_dsn

from pipeline.domain.errors import GiveUp

_FOLDERS = "usr/lib/postgresql/*/bin"


def program(name: str, release: str = "*") -> str:
    """Absolute path, of the newest release unless one is named, such as `15`; raises `GiveUp` when it is missing."""
    found = [path for path in Path("/").glob(f"{_FOLDERS.replace('*', release)}/{name}") if os.access(path, os.X_OK)]
    if not found:
        of = "" if release == "*" else f" of PostgreSQL {release}"
        raise GiveUp(f"{name}{of} is missing on this machine: install Debian's `postgresql`, or run this where it is")
    return str(max(found, key=lambda path: int(re.sub(r"\D", "", path.parts[-3]) or 0)))


def variables(dsn: str) -> dict[str, str]:
    """The DSN as environment variables of libpq: everybody on the machine sees a password among a
    command's arguments.
    """
    names = {"dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    said = {names.get(key, f"PG{key.upper()}"): value for key, value in parse_dsn(dsn).items()}
    return {**os.environ, **said, "LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"}


def as_nobody_in_particular() -> dict[str, Any]:
    """Process options for the user: PostgreSQL refuses to run as root, so it then runs as its own user."""
    if os.geteuid() != 0:
        return {}
    owner = pwd.getpwnam("postgres")
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def give_to_postgres(*paths: Path) -> None:
    """Makes PostgreSQL's user the owner, where that is another user."""
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        for path in paths:
            os.chown(path, owner.pw_uid, owner.pw_gid)
