"""`include/k8s/try.sh` on a cluster: a stand-in of kubectl keeps Secrets as files, one a key."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from plugins.training_image import demand_by_digest
from tests.kubernetes_clients import client

_SCRIPT = Path(__file__).parents[3] / "include/k8s/try.sh"
_GIVEN = re.findall(
    r"\b(?:RETRAIN|AIRFLOW|MLFLOW|MLOPS|AWS)_[A-Z_]+|S3_ENDPOINT", _SCRIPT.read_text().partition("; do\n")[0]
)
# What kubectl is asked here: a key's value, the keys' names, and to take in what a file says.
_KUBECTL = """#!/bin/sh
if [ "$1 $2" = "apply -k" ]; then exec KUBECTL kustomize "$3" --output "$CLUSTER/../applied.yaml"; fi
shift 2
case "$1 $2" in
"patch configmap")
    echo "$5" > "$CLUSTER/../$3.json" ;;
"get secret")
    [ -d "$CLUSTER/$3" ] || exit 1
    case "${5:-}" in
    "") ;;
    *range*) ls "$CLUSTER/$3" | tr '\\n' ' ' ;;
    *passwords.json*) cat "$CLUSTER/$3/passwords.json" ;;
    *)  key=$(expr "$5" : '.*{{with .\\([A-Za-z_]*\\)}}')
        if [ -e "$CLUSTER/$3/$key" ]; then cat "$CLUSTER/$3/$key"; fi ;;
    esac ;;
"create --filename" | "apply --filename" | "patch secret")
    for file; do :; done
    exec PYTHON -SE -c '
import base64, json, pathlib, sys
secret = json.load(open(sys.argv[2]))
folder = pathlib.Path(sys.argv[1], secret["metadata"]["name"])
folder.mkdir(exist_ok=True)
for name, value in secret["data"].items():
    (folder / name).write_bytes(base64.b64decode(value))' "$CLUSTER" "$file" ;;
"create secret")
    mkdir "$CLUSTER/$4" && echo made > "$CLUSTER/$4/file" ;;
esac
"""
# What an image is.
_DOCKER = f"""#!/bin/sh
if [ "$1 $2" = "image inspect" ]; then echo sha256:{"ab" * 32}; fi
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """After the script ran on an empty one; its programs lie beside it."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "bin").mkdir()
    for name, text in {
        "kubectl": _KUBECTL.replace("PYTHON", sys.executable).replace("KUBECTL", str(client("kubectl"))),
        "helm": "",
        "minikube": '#!/bin/sh\necho "$3" >> "$CLUSTER/../loaded"\n',
        "docker": _DOCKER,
    }.items():
        (folder / "bin" / name).write_text(text or "#!/bin/sh\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / "secrets").mkdir()
    tried(folder)
    return folder


def tried(folder):
    """What each Secret has afterwards."""
    given = {name: f"{name} \"of' {folder.name} $x \\n 50%" for name in _GIVEN}
    given["S3_ENDPOINT"] = "http://s3.example:9000"
    where = {"PATH": f"{folder}/bin:/usr/bin:/bin", "CLUSTER": str(folder / "secrets")}
    done = subprocess.run(["sh", str(_SCRIPT)], env={**given, **where}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return kept(folder)


def kept(folder):
    secrets = folder / "secrets"
    return {str(path.relative_to(secrets)): path.read_text() for path in secrets.rglob("*") if path.is_file()}


def test_secrets_hold_what_was_given_letter_by_letter_and_nothing_empty(cluster):
    secrets = kept(cluster)
    assert secrets["airflow/AWS_SECRET_ACCESS_KEY"] == f"AWS_SECRET_ACCESS_KEY \"of' {cluster.name} $x \\n 50%"
    assert secrets["exporter/RETRAIN_MLOPS_DSN"].startswith("RETRAIN_VIEWER_DSN")
    assert all(secrets.values()) and len(secrets) > len(_GIVEN)


def test_where_s3_is_and_which_image_trains_everybody_is_told(cluster):
    """Airflow looks for S3 where logs go nowhere else than under a name of its own."""
    told = json.loads((cluster / "storage.json").read_text())["data"]
    names = {"RETRAIN_S3_ENDPOINT", "FACESERVE_S3_ENDPOINT", "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}
    assert told.keys() == names and len(set(told.values())) == 1
    applied = list(yaml.safe_load_all((cluster / "applied.yaml").read_text()))
    (airflow,) = [one for one in applied if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "airflow")]
    image = airflow["data"]["RETRAIN_TRAINING_IMAGE"]
    demand_by_digest(image)
    ours = set(re.findall(r"laundry-[a-z]+:[\w.-]+", yaml.safe_dump_all(applied)))
    assert image in ours and ours == set((cluster / "loaded").read_text().split())


def test_each_login_of_airflow_has_a_password_and_whoever_watches_knows_its_own(cluster):
    """People's are those that the chart's values name."""
    users = yaml.safe_load((_SCRIPT.parent / "airflow/values.yaml").read_text())["config"]["core"][
        "simple_auth_manager_users"
    ]
    assert set(users.split(",")) == {"admin:admin", "exporter:viewer"}
    passwords = json.loads(kept(cluster)["airflow-logins/passwords.json"])
    assert passwords.keys() == {"admin", "exporter"} and len(set(passwords.values())) == 2
    assert passwords["exporter"] == kept(cluster)["exporter/RETRAIN_EXPORTER_AIRFLOW_PASSWORD"]


def test_logins_of_an_earlier_release_stay_and_get_that_of_the_exporter(cluster):
    file = cluster / "secrets/airflow-logins/passwords.json"
    file.write_text('{"admin": "of-admin", "kim": "of-kim"}')
    own = kept(cluster)["exporter/RETRAIN_EXPORTER_AIRFLOW_PASSWORD"]
    tried(cluster)
    assert json.loads(file.read_text()) == {"admin": "of-admin", "kim": "of-kim", "exporter": own}


SHARED = [
    {"mlflow/MLFLOW_PIPELINE_PASSWORD", "airflow/MLFLOW_TRACKING_PASSWORD", "retraining/MLFLOW_TRACKING_PASSWORD"},
    {"mlflow/MLFLOW_REPLICA_PASSWORD", "faceserve/FACESERVE_REGISTRY_PASSWORD"},
    {"faceserve/FACESERVE_LIFECYCLE_TOKEN", "airflow/RETRAIN_FACESERVE_TOKEN"},
]


@pytest.mark.parametrize("half", [0, 1])
def test_a_cluster_of_a_release_that_needed_less_gets_the_rest_and_keeps_what_it_has(cluster, half):
    """Every second key of each Secret is missing, and then each of the others."""
    before = kept(cluster)
    removed = set(sorted(one for one in before if not one.endswith("/file"))[half::2])
    for one in removed:
        (cluster / "secrets" / one).unlink()
    after = tried(cluster)
    assert set(after) == set(before) and {one for one in before if after[one] != before[one]} <= removed
    assert [len({after[one] for one in names}) for names in SHARED] == [1, 1, 1]
    own = json.loads(after["airflow-logins/passwords.json"])["exporter"]
    assert own == after["exporter/RETRAIN_EXPORTER_AIRFLOW_PASSWORD"]
