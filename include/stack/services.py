"""The programs of the stack: how each is prepared, started, and known to be ready."""

import os
import shlex
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.stack import door_tokens
from include.stack.airflow_api import airflow_of
from include.stack.door_tokens import SECRETS as OF_DOORS
from include.stack.knowing import tasks_by, told, told_to_s3
from include.stack.layout import FERNET, REPOSITORY, Stack, bin_folder, buckets, environment
from include.stack.logins import SECRETS as OF_AIRFLOW
from include.stack.logins import keep_logins
from include.stack.own_tables import (
    TablesError,
    encrypt_anew,
    migrate_airflow,
    migrate_mlflow,
    once_a_key,
    once_a_release,
)
from include.stack.registry_logins import ACCOUNTS
from include.stack.signing_keys import SigningKeyError, SigningKeys


class StackError(Exception):
    """The stack cannot start or stay up; the text is one sentence for a person."""


def demand_complete(stack: Stack) -> None:
    """Before anything asks a stack that may have been started by an earlier release. Raises `StackError`."""
    if not stack.complete:
        raise StackError("this stack is of an earlier version: `make down`, `make up`, then again")


@dataclass(frozen=True)
class Program:
    """One supervised process. `ready` says whether it answers; it is asked until `ready_seconds` are over."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = REPOSITORY
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    ready_seconds: float = 180.0
    code: tuple[str, ...] = ()
    """Files and folders of the repository that it has read when it started."""


def nothing() -> None:
    """Most services need no preparation."""


@dataclass(frozen=True)
class Service:
    """Programs that start together: `prepare` runs before, `finish` once they are ready, all `after` other services."""

    name: str
    programs: tuple[Program, ...]
    after: tuple[str, ...] = ()
    prepare: Callable[[], None] = nothing
    finish: Callable[[], None] = nothing


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def http_answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def executable(name: str, *folders: str) -> str:
    """Absolute path of a program; a clear sentence when it is missing."""
    for folder in folders:
        for path in sorted(Path("/").glob(f"{folder.lstrip('/')}/{name}"), reverse=True):
            return str(path)
    found = shutil.which(name)
    if found is None:
        raise StackError(f"{name} is missing: run `make install`")
    return found


def s3(stack: Stack) -> Service:
    data = stack.folder("s3")

    def prepare() -> None:
        for bucket in buckets(environment(stack)):
            (data / bucket).mkdir(exist_ok=True)

    command = (
        str(bin_folder() / "python"),
        "-m",
        "include.stack.object_keys",
        str(bin_folder() / "rclone"),
        "serve",
        "s3",
        str(data),
        "--addr",
        f"127.0.0.1:{stack.port('s3')}",
        "--config",
        os.devnull,
        "--no-modtime",
    )
    program = Program("s3", command, lambda: port_answers(stack.port("s3")), environment=told_to_s3(stack))
    return Service("s3", (program,), prepare=prepare)


def mlflow(stack: Stack) -> Service:
    port = stack.port("mlflow")
    command = (str(bin_folder() / "python"), "-m", "include.stack.mlflow_server", "127.0.0.1", str(port))
    variables = {
        "MLFLOW_BACKEND_STORE_URI": stack.dsn("mlflow", "mlflow"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **told(stack, key="mlflow"),
        "MLFLOW_AUTH_CONFIG_PATH": str(stack.folder("mlflow") / "logins.ini"),
        **{account.variable: stack.secrets[account.secret] for account in ACCOUNTS},
    }
    program = Program(
        "mlflow",
        command,
        lambda: http_answers(f"http://127.0.0.1:{port}/health"),
        environment=variables,
        ready_seconds=240,
        code=("include/stack/mlflow_server.py", "include/stack/registry_logins.py"),
    )
    return Service(
        "mlflow",
        (program,),
        after=("postgres", "s3"),
        prepare=lambda: _up_to_date(stack, "mlflow", "mlflow", lambda: migrate_mlflow(stack.dsn("mlflow", "mlflow"))),
    )


def _up_to_date(stack: Stack, name: str, package: str, migrate: Callable[[], None]) -> None:
    """A later release changes its tables, as the first one makes them."""
    try:
        once_a_release(stack.folder(name) / "migrated", package, migrate)
    except TablesError as error:
        raise StackError(str(error)) from error


def faceserve(stack: Stack) -> Service:
    programs = []
    for number in (1, 2):
        name = f"faceserve_{number}"
        variables = {
            **told(stack, "FACESERVE_", key="faceserve"),
            "FACESERVE_GRPC_PORT": str(stack.port(name)),
            "FACESERVE_LIFECYCLE_PORT": str(stack.port(f"{name}_lifecycle")),
            "FACESERVE_HTTP_PORT": str(stack.port(f"{name}_http")),
            "FACESERVE_METRICS_PORT": str(stack.port(f"{name}_metrics")),
            "FACESERVE_REPLICA": f"replica-{number}",
            "FACESERVE_STATE_DIR": str(stack.folder(f"faceserve-{number}")),
        }
        programs.append(
            Program(
                name,
                (str(bin_folder() / "python"), "-m", "faceserve", "serve"),
                lambda n=name: port_answers(stack.port(n)),  # type: ignore[misc]
                environment=variables,
                code=("faceserve", "include/contract"),
            )
        )
    keys = SigningKeys.of_stack(stack.root)
    # Which models of an earlier release are ours, the database says.
    needs = ("s3",) if keys.earlier_models_signed.exists() else ("s3", "postgres")

    def prepare() -> None:
        for calls, secret in OF_DOORS.items():
            door_tokens.write(stack.folder("tokens"), calls, stack.secrets[secret])
        _sign_earlier(stack, keys)

    return Service("faceserve", tuple(programs), after=needs, prepare=prepare)


def _sign_earlier(stack: Stack, keys: SigningKeys) -> None:
    """Replicas take nothing unsigned, and a release without keys left only that."""
    try:
        for sentence in keys.sign_earlier(environment(stack)):
            print(sentence, file=sys.stderr)
    except SigningKeyError as error:
        raise StackError(str(error)) from error


def helper(stack: Stack) -> Service:
    url = f"http://127.0.0.1:{stack.port('helper')}/health"
    command = (str(bin_folder() / "python"), "-m", "include.helper_service")
    program = Program(
        "helper",
        command,
        lambda: http_answers(url),
        environment=told(stack, "HELPER_", key="helper"),
        code=("include/helper_service", "include/stand_in"),
    )
    return Service("helper", (program,), after=("postgres", "rabbitmq", "s3"))


def airflow(stack: Stack, variables: Mapping[str, str]) -> Service:
    home = stack.folder("airflow")
    url = f"http://127.0.0.1:{stack.port('airflow')}"
    cli = str(bin_folder() / "airflow")

    def prepare() -> None:
        keep_logins(home / "passwords.json", {login: stack.secrets[one] for login, one in OF_AIRFLOW.items()})
        _up_to_date(stack, "airflow", "apache-airflow", lambda: migrate_airflow(variables))
        _encrypt_anew(stack, variables)

    def part(name: str, command: str, ready: Callable[[], bool] = lambda: True, seconds: float = 180) -> Program:
        sends = tasks_by(stack, "airflow") if command == "scheduler" else {}
        knows = {**told(stack, "AIRFLOW__", "RETRAIN_", "MLFLOW_", "AWS_"), **sends}
        code = ("plugins", "pipeline", "requirements.txt")
        return Program(name, (cli, command), ready, environment=knows, ready_seconds=seconds, code=code)

    programs = (
        part("airflow_api", "api-server", lambda: http_answers(f"{url}/api/v2/version"), 360),
        part("airflow_scheduler", "scheduler"),
        part("airflow_dag_processor", "dag-processor"),
        part("airflow_triggerer", "triggerer"),
        _airflow_history(stack),
    )
    return Service("airflow", programs, after=("postgres",), prepare=prepare, finish=lambda: _finish_airflow(stack))


def _airflow_history(stack: Stack) -> Program:
    """Once a day, and no sooner than an hour after a start, which is busy; what failed is tried again in an hour."""
    python = shlex.quote(str(bin_folder() / "python"))
    daily = f"while sleep 3600 && {python} -m include.stack.airflow_history; do sleep 82800; done"
    command = (executable("sh"), "-c", daily)
    return Program("airflow_history", command, lambda: True, environment=told(stack, "AIRFLOW__DATABASE__"))


def _encrypt_anew(stack: Stack, variables: Mapping[str, str]) -> None:
    """Once, where another Fernet key took the place of one."""
    first, *earlier = stack.secrets[FERNET].split()
    if not earlier:
        return
    try:
        once_a_key(stack.folder("airflow") / "encrypted_with", first, lambda: encrypt_anew(variables))
    except TablesError as error:
        raise StackError(str(error)) from error


def _finish_airflow(stack: Stack) -> None:
    """Make the pools the DAGs name, and wait until every part says it is healthy."""
    api = airflow_of(stack)
    api.make_pools(environment(stack))
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        ill = [name for name, state in api.health().items() if state != "healthy"]
        if not ill:
            return
        time.sleep(1)
    raise StackError(f"Airflow's {', '.join(ill)} did not become healthy within 90 s, see {stack.root}/logs")
