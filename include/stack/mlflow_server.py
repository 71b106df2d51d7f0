"""MLflow's server behind logins: `python -m include.stack.mlflow_server HOST PORT`, in place of `mlflow server`.

Its tables, and those of who may what, are in `MLFLOW_BACKEND_STORE_URI`. `MLFLOW_AUTH_CONFIG_PATH` names the file that
tells it so, written anew at each start and without a secret. The passwords: `include/stack/registry_logins.py`.
Browsers are answered at `MLFLOW_PUBLIC_URL`, too, besides what `MLFLOW_SERVER_ALLOWED_HOSTS` names.
"""

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import click

from include.stack.dns_names import dns_name
from include.stack.registry_logins import ACCOUNTS, ADMINISTRATOR, authorize

_CONFIGURATION = """[mlflow]
database_uri = {database}
default_permission = READ
admin_username = {admin}
authorization_function = {authorize}
auth_cache_ttl_seconds = 60
"""
# Which browsers leave out.
_PORTS = {"http": 80, "https": 443}
_IPV6 = 6


def configure(path: Path, dsn: str) -> dict[str, str]:
    """Writes the file, and returns the variables that the server needs besides."""
    parts = urlsplit(dsn)
    without = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")).geturl()
    path.write_text(
        _CONFIGURATION.format(
            # The file takes % for the beginning of a name of its own.
            database=without.replace("%", "%%"),
            admin=ADMINISTRATOR.name,
            authorize=f"{authorize.__module__}:{authorize.__name__}",
        )
    )
    return {
        "PGPASSWORD": unquote(parts.password or ""),
        "MLFLOW_AUTH_CONFIG_PATH": str(path),
        # Nobody logs in with it: who is administrator, `authorize` says.
        "MLFLOW_AUTH_ADMIN_PASSWORD": secrets.token_urlsafe(32),
        # Signs forms; only the single worker has to know it.
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(32),
    }


def answered(variables: Mapping[str, str], port: str) -> dict[str, str]:
    """Variables with which MLflow takes what people's browsers ask it at its public address: pages by the name of the
    host, changes by where the page came from. Without such an address none. Raises `ValueError` for one that is none.
    """
    address = variables.get("MLFLOW_PUBLIC_URL", "").strip()
    if not address:
        return {}
    scheme, host = _origin(address)
    hosts, origins = "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"
    here = variables.get(hosts) or f"127.0.0.1:{port},localhost:{port}"
    from_there = f"{scheme}://{host}"
    elsewhere = variables.get(origins)
    return {hosts: f"{here},{host}", origins: f"{elsewhere},{from_there}" if elsewhere else from_there}


def _origin(address: str) -> tuple[str, str]:
    """Scheme and host of an address as browsers say them: MLflow compares letter by letter."""
    try:
        parts = urlsplit(address)
        usual, host = _PORTS[parts.scheme], _host(parts.hostname or "")
        return parts.scheme, host if parts.port in (None, usual) else f"{host}:{parts.port}"
    except (KeyError, ValueError):
        raise ValueError("MLFLOW_PUBLIC_URL is no address such as https://mlflow.example.com") from None


def _host(name: str) -> str:
    try:
        number = ip_address(name)
    except ValueError:
        return dns_name(name).lower()
    return f"[{number}]" if number.version == _IPV6 else str(number)


def missing(variables: Mapping[str, str]) -> list[str]:
    """Passwords that are not set: an empty one would silently close the account."""
    return [account.variable for account in ACCOUNTS if not variables.get(account.variable, "").strip()]


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("host")
@click.argument("port")
def main(host: str, port: str) -> None:
    if absent := missing(os.environ):
        sys.exit(f"refused: {', '.join(absent)} must be set: MLflow lets nobody in without a password")
    try:
        reached = answered(os.environ, port)
    except ValueError as error:
        sys.exit(f"refused: {error}")
    path = Path(os.environ.get("MLFLOW_AUTH_CONFIG_PATH", "/tmp/mlflow-logins.ini"))
    os.environ |= configure(path, os.environ["MLFLOW_BACKEND_STORE_URI"]) | reached
    how = ["--host", host, "--port", port, "--artifacts-destination", "s3://mlflow", "--workers", "1"]
    # Imported here because it takes seconds, and only a server needs it.
    from mlflow import server
    from mlflow.cli import cli

    # Whoever starts the server would go on only to wait for it, with two hundred megabytes of the same imports.
    server._exec_cmd = _become  # type: ignore[assignment]
    cli(["server", "--app-name", "basic-auth", *how])


def _become(command: Sequence[str], *, extra_env: Mapping[str, str], **_: Any) -> NoReturn:
    os.execvpe(command[0], list(command), {**os.environ, **extra_env})


if __name__ == "__main__":
    main()
