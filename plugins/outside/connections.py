"""What each connection is, and which settings it gives.

A setting that the environment has wins, then its connection; a login is one place's as a whole. Nothing is asked while
DAG files are read.
"""

import json
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

Read = Callable[[Any], dict[str, str]]


class NotUsable(Exception):
    """A connection that cannot serve its purpose; the text continues after its name."""


@dataclass(frozen=True)
class Source:
    """`gives` are the settings' variables, `login` those of them that let in together; without a connection that is
    `needed` nothing works.
    """

    conn_id: str
    types: tuple[str, ...]
    gives: tuple[str, ...]
    read: Read
    needed: bool = True
    login: tuple[str, ...] = ()

    def wanted(self, unset: Set[str]) -> set[str]:
        """What of it counts where these are not set: each for itself, but of a login all or nothing. Half of one place
        and half of another would be a key that nobody gave.
        """
        apart = set(self.login) if not set(self.login) <= unset else set()
        return (set(self.gives) & unset) - apart

    def values(self, connection: Any) -> dict[str, str]:
        """Raises `NotUsable`, without any secret."""
        if connection.conn_type not in self.types:
            raise NotUsable(f"is of type {connection.conn_type}, but must be {' or '.join(self.types)}")
        return self.read(connection)


def _host(connection: Any) -> str:
    if not connection.host:
        raise NotUsable("names no host")
    return str(connection.host)


def _postgres(variable: str) -> Read:
    def read(connection: Any) -> dict[str, str]:
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        _host(connection)
        hook = PostgresHook(connection=connection)
        extra = {k: v for k, v in connection.extra_dejson.items() if k not in hook.ignored_extra_options}
        address = hook.sqlalchemy_url.set(drivername="postgresql").update_query_dict(_texts(extra))
        return {variable: address.render_as_string(hide_password=False)}

    return read


def _texts(extra: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in extra.items()}


def _s3(connection: Any) -> dict[str, str]:
    """Keys, a profile or a role of the connection; without any of them the usual AWS_* ways, which renew themselves."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(aws_conn_id=connection.conn_id)
    config = hook.conn_config
    found = {
        "RETRAIN_S3_ENDPOINT": config.get_service_endpoint_url("s3") or "",
        "RETRAIN_S3_REGION": config.region_name or "",
    }
    if config.aws_access_key_id or config.role_arn or config.profile_name:
        keys = hook.get_credentials()
        found |= {
            "RETRAIN_S3_ACCESS_KEY_ID": keys.access_key,
            "RETRAIN_S3_SECRET_ACCESS_KEY": keys.secret_key,
            "RETRAIN_S3_SESSION_TOKEN": keys.token or "",
        }
    return {name: value for name, value in found.items() if value}


def _rabbitmq(connection: Any) -> dict[str, str]:
    host, extra = _host(connection), connection.extra_dejson
    scheme = "amqps" if connection.conn_type == "amqps" or extra.pop("ssl", False) else "amqp"
    user = f"{quote(connection.login or 'guest', safe='')}:{quote(connection.password or '', safe='')}"
    port = connection.port or (5671 if scheme == "amqps" else 5672)
    query = f"?{urlencode(extra)}" if extra else ""
    return {"RETRAIN_AMQP_URL": f"{scheme}://{user}@{host}:{port}/{quote(connection.schema or '/', safe='')}{query}"}


def _mlflow(connection: Any) -> dict[str, str]:
    if connection.login:
        name = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        raise NotUsable(f"has a login, which would show in links: leave it out and set {name}")
    host = _host(connection)
    address = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return {"RETRAIN_MLFLOW_URL": f"{address}:{connection.port}" if connection.port else address}


def _faceserve(connection: Any) -> dict[str, str]:
    """Every replica's lifecycle address in `replicas` of the extra, or in the host, divided by commas."""
    named = connection.extra_dejson.get("replicas") or _host(connection).split(",")
    port = f":{connection.port}" if connection.port else ""
    replicas = [one.strip() if ":" in one else f"{one.strip()}{port}" for one in named]
    if any(":" not in one for one in replicas):
        raise NotUsable("names a replica without a port")
    found = {"RETRAIN_FACESERVE_REPLICAS": json.dumps(replicas)}
    return {**found, "RETRAIN_FACESERVE_TOKEN": connection.password} if connection.password else found


_S3 = ("RETRAIN_S3_ENDPOINT", "RETRAIN_S3_REGION")
_S3_LOGIN = ("RETRAIN_S3_ACCESS_KEY_ID", "RETRAIN_S3_SECRET_ACCESS_KEY", "RETRAIN_S3_SESSION_TOKEN")
SOURCES = (
    Source("retraining_mlops", ("postgres",), ("RETRAIN_MLOPS_DSN",), _postgres("RETRAIN_MLOPS_DSN")),
    # Without it page Models looks with the role that writes.
    Source(
        "retraining_mlops_viewer",
        ("postgres",),
        ("RETRAIN_MLOPS_VIEWER_DSN",),
        _postgres("RETRAIN_MLOPS_VIEWER_DSN"),
        needed=False,
    ),
    Source("retraining_helper", ("postgres",), ("RETRAIN_HELPER_DSN",), _postgres("RETRAIN_HELPER_DSN")),
    # Not needed without faces.
    Source("retraining_access", ("postgres",), ("RETRAIN_ACCESS_DSN",), _postgres("RETRAIN_ACCESS_DSN"), needed=False),
    Source("retraining_s3", ("aws",), (*_S3, *_S3_LOGIN), _s3, needed=False, login=_S3_LOGIN),
    Source("retraining_rabbitmq", ("amqp", "amqps"), ("RETRAIN_AMQP_URL",), _rabbitmq),
    Source("retraining_mlflow", ("http", "https"), ("RETRAIN_MLFLOW_URL",), _mlflow),
    Source(
        "retraining_faceserve",
        ("grpc", "generic"),
        ("RETRAIN_FACESERVE_REPLICAS", "RETRAIN_FACESERVE_TOKEN"),
        _faceserve,
    ),
)
