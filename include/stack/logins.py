"""Airflow's logins of ours, and their passwords in the file of its simple auth manager."""

import json
from collections.abc import Mapping
from pathlib import Path

EXPORTER = "exporter"
"""Who asks Airflow which DAGs are paused, and may change nothing (role viewer)."""
SECRETS = {"admin": "airflow_admin", EXPORTER: "airflow_exporter"}
"""By login, what has its password; others are people's."""


def with_ours(users: str) -> str:
    """Logins and their roles as people chose them, such as `admin:admin,kim:user`, and the one that looks beside."""
    return f"{users},{EXPORTER}:viewer"


def keep_logins(passwords: Path, ours: Mapping[str, str]) -> None:
    """Passwords of the logins that are `ours`: Airflow makes one for each other login, and those stay."""
    passwords.touch(mode=0o600)
    passwords.chmod(0o600)
    known = json.loads(passwords.read_text() or "{}")
    if any(known.get(login) != password for login, password in ours.items()):
        passwords.write_text(json.dumps({**known, **ours}))
