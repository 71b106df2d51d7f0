"""Passwords of Airflow's logins, in the file of its simple auth manager."""

import json
from pathlib import Path


def keep_logins(passwords: Path, admin_password: str) -> None:
    """Only that of `admin` is ours: Airflow makes one for each other login, and those stay."""
    passwords.touch(mode=0o600)
    passwords.chmod(0o600)
    known = json.loads(passwords.read_text() or "{}")
    if known.get("admin") != admin_password:
        passwords.write_text(json.dumps({**known, "admin": admin_password}))
