"""Where the stack keeps things, on which ports it listens, and its secrets; generated once, kept in `stack.json`."""

import base64
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from include.stack import logins, stack_file
from include.stack.accounts import ADMINISTRATOR
from include.stack.accounts import SECRETS as OF_BROKER
from include.stack.door_tokens import SECRETS as OF_DOORS
from include.stack.door_tokens import file_of_stack as file_of
from include.stack.executor import LOGS, logs_in_s3, of_local_stack
from include.stack.object_keys import PIPELINE as PIPELINES_OBJECTS
from include.stack.object_keys import SECRETS as OF_OBJECTS
from include.stack.object_keys import key_of
from include.stack.ports import PREFERRED_PORTS, free_port
from include.stack.registry_logins import PIPELINE, REPLICA
from include.stack.registry_logins import SECRETS as OF_REGISTRY
from include.stack.roles import ROLES
from include.stack.signing_keys import SigningKeys

REPOSITORY = Path(__file__).resolve().parents[2]
# What the product keeps; backups of it have a bucket of their own, which nothing but a backup's age empties.
BUCKETS = ("tasks", "datasets", "models", "mlflow", "faces")
ALL_BUCKETS = (*BUCKETS, "backups")
FERNET = "airflow_fernet"
SECRETS = (
    "postgres",
    *ROLES,
    *OF_BROKER,
    *OF_REGISTRY,
    *OF_OBJECTS.values(),
    *OF_DOORS.values(),
    *logins.SECRETS.values(),
    "airflow_jwt",
    "airflow_api",
    FERNET,
    "erlang_cookie",
)


@dataclass(frozen=True)
class Stack:
    """`root` holds everything it writes; `moved`: ports that were not the preferred ones; `choice`: where tasks run."""

    root: Path
    ports: dict[str, int]
    secrets: dict[str, str]
    moved: tuple[str, ...] = ()
    choice: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether it has all that this release needs; one of an earlier release gets the rest at its next start."""
        return self.ports.keys() >= PREFERRED_PORTS.keys() and self.secrets.keys() >= set(SECRETS)

    def port(self, name: str) -> int:
        return self.ports[name]

    @property
    def about_ports(self) -> list[str]:
        """A sentence for each preferred port that was taken."""
        return [f"port {PREFERRED_PORTS[name]} was taken: {name} listens on {self.port(name)}" for name in self.moved]

    def folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, program: str) -> Path:
        return self.folder("logs") / f"{program}.log"

    def dsn(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self.secrets[role]}@127.0.0.1:{self.port('postgres')}/{database}"

    @property
    def amqp_url(self) -> str:
        """As the administrator, for whoever runs the stack; programs have accounts of their own."""
        return self.amqp_url_of(ADMINISTRATOR, "rabbitmq")

    def amqp_url_of(self, account: str, secret: str = "", *, virtual_host: str = "/") -> str:
        password = self.secrets[secret or f"rabbitmq_{account}"]
        return f"amqp://{account}:{password}@127.0.0.1:{self.port('rabbitmq')}/{quote(virtual_host, safe='')}"

    @property
    def s3_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port('s3')}"

    @property
    def replicas(self) -> tuple[str, ...]:
        """Addresses to which photos are sent."""
        return tuple(f"127.0.0.1:{self.port(name)}" for name in ("faceserve_1", "faceserve_2"))

    @property
    def lifecycle_addresses(self) -> tuple[str, ...]:
        """Addresses at which models are changed."""
        return tuple(f"127.0.0.1:{self.port(name)}" for name in ("faceserve_1_lifecycle", "faceserve_2_lifecycle"))


def buckets(variables: Mapping[str, str]) -> tuple[str, ...]:
    """All that have to be there: where what tasks say goes with their host or pod, one for that."""
    return (*ALL_BUCKETS, LOGS) if logs_in_s3(variables) else ALL_BUCKETS


def default_root() -> Path:
    """`STACK_DIR`, or `.stack` in the repository."""
    return Path(os.environ.get("STACK_DIR", REPOSITORY / ".stack")).resolve()


def load(root: Path) -> Stack | None:
    """The stack that was made here before, or None. Raises `StackFileError`."""
    kept = stack_file.read(root)
    return Stack(root, kept["ports"], kept["secrets"], tuple(kept["moved"]), kept.get("choice", {})) if kept else None


def load_or_create(root: Path, *, preferred: bool = True) -> Stack:
    """Ports are chosen, secrets and keys made on first use; `preferred` False takes any free port (tests).

    Raises `SigningKeyError` for a stack that lost its key, `StackFileError` for one that lost its secrets.
    """
    existing = load(root)
    keys = SigningKeys.of_stack(root)
    keys.make()
    if existing is None:
        keys.nothing_earlier()
    # A stack of an earlier version may lack what a later one needs.
    ports = dict(existing.ports) if existing else {}
    kept_secrets, choice = (existing.secrets, existing.choice) if existing else ({}, {})
    if existing and existing.complete:
        return existing
    for name, port in PREFERRED_PORTS.items():
        if name not in ports:
            ports[name] = free_port([port] if preferred else [], taken=ports.values())
    moved = tuple(name for name, port in ports.items() if preferred and port != PREFERRED_PORTS.get(name))
    made = {name: secrets.token_urlsafe(24) for name in SECRETS}
    if "airflow_api" in kept_secrets:
        # With another key than that of an earlier version, nobody could read the connections which are stored.
        made[FERNET] = kept_secrets["airflow_api"]
    return keep(Stack(root, ports, {**made, **kept_secrets}, moved, choice))


def with_other_ports(stack: Stack, names: Collection[str]) -> Stack:
    """Those called `names` are chosen anew, and kept; nothing of the stack may run."""
    ports = dict(stack.ports)
    for name in names:
        ports[name] = free_port([], taken=ports.values())
    return keep(replace(stack, ports=ports, moved=tuple(sorted({*stack.moved, *names}))))


def keep(stack: Stack) -> Stack:
    """In the file that `load` reads."""
    stack_file.write(stack.root, {k: v for k, v in asdict(stack).items() if k != "root"})
    return stack


def environment(stack: Stack) -> dict[str, str]:
    """Every variable of every program; the stack's programs and `python -m pipeline` read the same ones.

    The key of S3 is the pipeline's: who has one of its own gets it beside these.
    """
    s3 = {
        **key_of(PIPELINES_OBJECTS, stack.secrets),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_S3_ENDPOINT_URL": stack.s3_endpoint,
    }
    return {
        **s3,
        "STACK_DIR": str(stack.root),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        # Airflow's process titles would overwrite the environment by which `down` finds orphans.
        "SPT_NOENV": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "RETRAIN_AMQP_URL": stack.amqp_url_of("pipeline"),
        "RETRAIN_MLOPS_DSN": stack.dsn("mlops", "mlops"),
        "RETRAIN_MLOPS_VIEWER_DSN": stack.dsn("mlops_viewer", "mlops"),
        **{f"RETRAIN_{name.upper()}_DSN": stack.dsn("mlops_reader", name) for name in ("helper", "access")},
        "RETRAIN_S3_ENDPOINT": stack.s3_endpoint,
        "RETRAIN_BACKUP_DSN": stack.dsn("backup", "postgres"),
        **_registry(stack),
        "RETRAIN_FACESERVE_REPLICAS": json.dumps(stack.lifecycle_addresses),
        "RETRAIN_FACESERVE_TOKEN": stack.secrets["faceserve"],
        "RETRAIN_BACKBONE": "EfficientNetLite0",
        # The demo's few hundred photos are of one time: there is nothing older to keep in mind, and two cores are slow.
        "RETRAIN_MIN_TRAIN_PHOTOS": "400",
        # In the demo a week passes in a minute: its first model was trained just before.
        "RETRAIN_MIN_DAYS_BETWEEN_TRAININGS": "0",
        # Nor does a demo wait for the night.
        "RETRAIN_CHEAP_FROM": "00:00",
        "RETRAIN_CHEAP_UNTIL": "24:00",
        "RETRAIN_INTAKE_LONGEST_WAIT_SECONDS": "0",
        "RETRAIN_INTAKE_SILENCE_SECONDS": "5",
        "RETRAIN_LIVE_MATURED_MINUTES": "0",
        # A drill has hundreds of confirmations, not thousands: they prove no small margin.
        "RETRAIN_CANARY_MIN_CONFIRMATIONS": "25",
        "RETRAIN_CANARY_MARGIN": "0.15",
        "RETRAIN_CANARY_DEADLINE_HOURS": "1",
        "RETRAIN_MONITOR_SCHEDULE": "* * * * *",
        "RETRAIN_EXPORTER_PORT": str(stack.port("exporter")),
        "RETRAIN_EXPORTER_AIRFLOW_URL": f"http://127.0.0.1:{stack.port('airflow')}",
        **SigningKeys.of_stack(stack.root).variables,
        "FACESERVE_S3_ENDPOINT": stack.s3_endpoint,
        "FACESERVE_GALLERY_URI": "s3://faces/",
        # Files, so that a token may change while replicas run.
        **{f"FACESERVE_{calls}_TOKEN_FILE".upper(): str(file_of(stack.root, calls)) for calls in OF_DOORS},
        **_stand_in(stack, "helper"),
        **_stand_in(stack, "access"),
        "ACCESS_FACESERVE_ENROLMENT": stack.lifecycle_addresses[0],
        "ACCESS_FACESERVE_ENROLMENT_TOKEN": stack.secrets[OF_DOORS["enrolment"]],
        **_airflow(stack),
    }


def _registry(stack: Stack) -> dict[str, str]:
    """Where MLflow is, and the logins of who writes there and of who only asks."""
    url = f"http://127.0.0.1:{stack.port('mlflow')}"
    return {
        "RETRAIN_MLFLOW_URL": url,
        "MLFLOW_TRACKING_USERNAME": PIPELINE.name,
        "MLFLOW_TRACKING_PASSWORD": stack.secrets[PIPELINE.secret],
        "FACESERVE_REGISTRY_URL": url,
        "FACESERVE_REGISTRY_USER": REPLICA.name,
        "FACESERVE_REGISTRY_PASSWORD": stack.secrets[REPLICA.secret],
    }


def _stand_in(stack: Stack, name: str) -> dict[str, str]:
    variables = {
        "DSN": stack.dsn(name, name),
        "AMQP_URL": stack.amqp_url_of(name),
        "S3_ENDPOINT": stack.s3_endpoint,
        "FACESERVE_REPLICAS": json.dumps(stack.replicas),
        "PORT": str(stack.port(name)),
    }
    return {f"{name.upper()}_{variable}": value for variable, value in variables.items()}


def _airflow(stack: Stack) -> dict[str, str]:
    """Light profile for one small machine; secrets set for all processes alike."""
    home = stack.root / "airflow"
    url = f"http://127.0.0.1:{stack.port('airflow')}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": stack.dsn("airflow", "airflow").replace(
            "postgresql://", "postgresql+psycopg2://"
        ),
        "AIRFLOW__CORE__MP_START_METHOD": "fork",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": logins.with_ours(os.environ.get("AIRFLOW_USERS", "admin:admin")),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The first encrypts, each decrypts: a backup may bring back what an earlier one encrypted.
        "AIRFLOW__CORE__FERNET_KEY": ",".join(map(_fernet_key, stack.secrets[FERNET].split())),
        "AIRFLOW__API__SECRET_KEY": stack.secrets["airflow_api"],
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(stack.port("airflow")),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": stack.secrets["airflow_jwt"] * 2,
        "AIRFLOW__API_AUTH__JWT_ISSUER": "retraining",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        # Where a person ended a run by hand, the next one of `@continuous` begins when its DAG is read again.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        # How long a click may wait until it is seen; each look takes some 20 ms of a processor.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "600",
        "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME": "14400",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "20",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(stack.port("airflow_worker_logs")),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(stack.port("airflow_triggerer_logs")),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__TRIGGERER__CAPACITY": "50",
        **of_local_stack(stack.choice, stack.s3_endpoint),
    }


def _fernet_key(secret: str) -> str:
    """A Fernet key is 32 bytes, URL-safe base64; derived, so that it need not be kept beside the secret."""
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).decode()


def bin_folder() -> Path:
    """Where the console scripts of this environment are."""
    return Path(sys.executable).parent
