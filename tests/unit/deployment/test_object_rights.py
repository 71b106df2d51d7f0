"""Each component's key in S3 may do what the component does, and not what another one is for."""

import ast
import json
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import yaml
from click.testing import CliRunner

from include.docker.migrate import buckets
from include.stack.layout import ALL_BUCKETS, REPOSITORY
from include.stack.object_keys import SECRETS as KEYS
from include.stack.object_rights import RIGHTS, main, policy
from pipeline.bootstrap import GiveUp
from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset_folder import DatasetFolder, face_vector
from plugins.training.pod import OF_FACES
from tests.listening import listen
from tests.object_judge import may

# What each call of boto3 needs.
NEEDS = {
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "put_object": "s3:PutObject",
    "upload_fileobj": "s3:PutObject",
    "copy_object": "s3:PutObject",
    "delete_object": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
    "restore_object": "s3:RestoreObject",
}
# Where components ask S3 with code that is theirs alone.
CODE = [
    ("faceserve", "faceserve/storage.py"),
    ("airflow", "pipeline/adapters"),
    ("helper", "include/stand_in"),
    ("access", "include/stand_in"),
]


def calls(path):
    """Names of boto3's S3 methods in a file or folder; those of paginators are words."""
    files = sorted((REPOSITORY / path).rglob("*.py")) if (REPOSITORY / path).is_dir() else [REPOSITORY / path]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in NEEDS:
                yield node.attr
            if isinstance(node, ast.Constant) and node.value in NEEDS:
                yield node.value


def test_what_a_training_keeps_of_single_photos_lies_where_it_may_delete():
    folder = ArtifactFolder.of("models/", "LAUNDRY", "run-1")
    for cache in ("features", "activations"):
        uri = f"{folder.uri}{cache}/k.npz"
        assert folder.is_cache(uri) and may("retraining", "s3:DeleteObject", uri)


@pytest.mark.parametrize(("component", "path"), CODE)
def test_a_component_may_call_what_its_code_calls(component, path):
    granted = {action for one in policy(component, {})["Statement"] for action in one["Action"]}
    found = set(calls(path))
    assert found and {NEEDS[call] for call in found} <= granted


@pytest.mark.parametrize(
    ("component", "does"),
    [
        ("faceserve", ["GetObject models/LAUNDRY/run-1/manifest.json", "GetObject models/FACE/run-1/model.bin"]),
        (
            "faceserve",
            ["GetObject tasks/2026/photo.jpg", "PutObject faces/face/kim.jpg", "DeleteObject faces/face/kim"],
        ),
        ("retraining", ["GetObject datasets/DS-2026-001/shard-0.parquet", "PutObject models/LAUNDRY/run-1/model.bin"]),
        (
            "retraining",
            [
                "GetObject models/weights/resnet50.h5",
                "DeleteObject models/LAUNDRY/run-1/features/k/train-00000000.npy",
                "DeleteObject models/FACE/run-1/activations/k/train-00000000.npy",
            ],
        ),
        (
            "face-training",
            [
                "GetObject tasks/photo.jpg",
                "PutObject datasets/DS-2026-001/manifest.json",
                f"DeleteObject {face_vector('datasets/', 'ab' * 32, 'of-kim')}",
                f"DeleteObject {DatasetFolder.of('datasets/', 'DS-2026-001').draft('ab' * 32)}",
                "PutObject models/FACE/run-1/model.bin",
            ],
        ),
        ("airflow", ["GetObject tasks/photo.jpg", "DeleteObject datasets/DS-2026-001/shard-0.parquet"]),
        (
            "airflow",
            ["PutObject models/archive/LAUNDRY/run-1/model.bin", "RestoreObject models/archive/LAUNDRY/run-1/x"],
        ),
        ("airflow", ["PutObject backups/postgres/base/1/copy.tar.gz", "PutObject airflow-logs/dag_id=x/1.log"]),
        (
            "airflow",
            ["DeleteObject faces/face/kim", "DeleteObject faces/face.known/1", "PutObject faces/face.revision"],
        ),
        ("airflow", [f"{does} faces/face.changes/1" for does in ("GetObject", "PutObject", "DeleteObject")]),
        ("log-receiver", ["PutObject backups/postgres/log/0001.gz", "GetObject backups/postgres/log/0001.gz"]),
        ("mlflow", ["PutObject mlflow/1/run/artifacts/curve.png", "DeleteObject mlflow/1/run/artifacts/curve.png"]),
        ("helper", ["GetObject tasks/2026/photo.jpg"]),
        ("access", ["GetObject tasks/2026/photo.jpg"]),
    ],
)
def test_what_a_component_is_there_for_it_may(component, does):
    for one in does:
        action, place = one.split()
        assert may(component, f"s3:{action}", place), one
        # Without it, what is missing would be forbidden.
        assert may(component, "s3:ListBucket", place.partition("/")[0])


def test_whoever_takes_a_replica_over_changes_no_model_and_whoever_takes_a_training_over_no_archive_nor_photo():
    for component in ("faceserve", "helper", "access", "mlflow", "log-receiver"):
        assert not may(component, "s3:PutObject", "models/LAUNDRY/run-1/manifest.json")
    for action in ("s3:PutObject", "s3:DeleteObject"):
        for place in (
            "models/archive/LAUNDRY/run-1/model.bin",
            "tasks/photo.jpg",
            "backups/postgres/log/1",
            "faces/kim",
        ):
            assert not may("retraining", action, place), place
    assert not may("retraining", "s3:GetObject", "tasks/photo.jpg")
    assert not may("airflow", "s3:PutObject", "faces/face/kim"), "it enrols nobody"
    assert not may("face-training", "s3:PutObject", "models/LAUNDRY/run-1/manifest.json")


@pytest.mark.parametrize("component", sorted(set(RIGHTS) - {"airflow"}))
def test_nobody_but_the_pipeline_makes_backups_undone_or_deletes_a_model_or_a_dataset(component):
    for place in ("backups/postgres/log/1", "models/LAUNDRY/run-1/model.bin", "datasets/DS-2026-001/shard-0.parquet"):
        assert not may(component, "s3:DeleteObject", place), place
    assert component == "log-receiver" or not may(component, "s3:GetObject", "backups/postgres/base/1/copy.tar.gz")


@pytest.mark.parametrize("component", RIGHTS)
def test_no_policy_speaks_of_everything_or_of_a_bucket_that_is_not_ours(component):
    for one in policy(component, {})["Statement"]:
        assert not [action for action in one["Action"] if "*" in action]
        for resource in one["Resource"]:
            bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
            assert bucket in {*ALL_BUCKETS, "airflow-logs"} and key.count("*") <= 2


def test_every_secret_of_the_manifests_that_holds_a_key_has_a_policy():
    texts = [path.read_text() for path in sorted((REPOSITORY / "include/k8s").rglob("*.yaml"))]
    known = {
        one["valueFrom"]["secretKeyRef"]["name"]
        for text in texts
        for document in yaml.safe_load_all(text)
        for one in named(document, "AWS_ACCESS_KEY_ID")
        if "valueFrom" in one
    }
    values = yaml.safe_load((REPOSITORY / "include/k8s/airflow/values.yaml").read_text())
    of_airflow = yaml.safe_load(values["extraEnv"])
    known |= {one["valueFrom"]["secretKeyRef"]["name"] for one in of_airflow if one["name"] == "AWS_ACCESS_KEY_ID"}
    known.add(OF_FACES)
    assert known == {"faceserve", "retraining", "face-training", "mlflow", "airflow", "log-receiver"} <= set(RIGHTS)


def test_every_key_of_compose_and_of_the_local_stack_has_a_policy():
    assert set(KEYS) <= set(RIGHTS)


class BucketsWithPolicies(BaseHTTPRequestHandler):
    """Answers as S3 does whom a key may not let in: without a word about what is there."""

    buckets: ClassVar[set[str]] = set()
    components: ClassVar[tuple[str, ...]] = ()
    makes: ClassVar[bool] = False

    def do_HEAD(self):  # noqa: N802 - named by http.server, as all below
        bucket = self.path.strip("/")
        if not self.makes and not any(may(one, "s3:ListBucket", bucket) for one in self.components):
            self._answer(403)
        else:
            self._answer(200 if bucket in self.buckets else 404)

    def do_PUT(self):  # noqa: N802
        if self.makes:
            self.buckets.add(self.path.strip("/"))
        self._answer(200 if self.makes else 403)

    def do_GET(self):  # noqa: N802
        self._answer(403)

    def _answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        """Of no interest here."""


@pytest.fixture
def another_server(monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "retraining", "AWS_SECRET_ACCESS_KEY": "of the tests"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with ThreadingHTTPServer(("127.0.0.1", 0), BucketsWithPolicies) as server:
        monkeypatch.setenv("RETRAIN_S3_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        listen(server)
        yield partial(given, monkeypatch)
        server.shutdown()


def given(monkeypatch, **fields):
    for name, value in fields.items():
        monkeypatch.setattr(BucketsWithPolicies, name, value)


OF_THE_PIPELINE = ("airflow", "retraining")


def test_a_start_in_compose_asks_nothing_of_s3_that_the_pipelines_policies_forbid(another_server):
    another_server(buckets={*ALL_BUCKETS}, components=OF_THE_PIPELINE)
    buckets()


@pytest.mark.parametrize("missing", ["tasks", "datasets", "models", "backups"])
def test_a_bucket_that_is_missing_and_may_not_be_made_is_named(another_server, missing):
    another_server(buckets={*ALL_BUCKETS} - {missing}, components=OF_THE_PIPELINE)
    with pytest.raises(GiveUp, match=f"missing, and our key may make none: {missing}; make them with an admin"):
        buckets()


def test_a_key_that_is_let_in_nowhere_is_said_to_be_at_once(another_server):
    another_server(buckets={*ALL_BUCKETS})
    with pytest.raises(GiveUp, match="lets our key into none of tasks, "):
        buckets()


def test_with_an_administrators_key_the_start_makes_what_is_missing(another_server):
    there = {"tasks", "of-others"}
    another_server(buckets=there, makes=True)
    buckets()
    assert there == {*ALL_BUCKETS, "of-others"}


def named(tree, name):
    """Every mapping of a document that has this name."""
    if isinstance(tree, list):
        for one in tree:
            yield from named(one, name)
    if isinstance(tree, dict):
        if tree.get("name") == name:
            yield tree
        yield from named(list(tree.values()), name)


def printed(*words):
    return CliRunner().invoke(main, words)


def test_the_policy_is_printed_for_whoever_makes_the_key_with_the_names_that_buckets_have_there():
    done = printed("faceserve", "--bucket", "models=acme-models")
    resources = [name for one in json.loads(done.output)["Statement"] for name in one["Resource"]]
    assert "arn:aws:s3:::acme-models/LAUNDRY/*" in resources and "arn:aws:s3:::acme-models" in resources
    assert not [name for name in resources if ":::models" in name] and "arn:aws:s3:::tasks/*" in resources


@pytest.mark.parametrize("wrong", ["modles=acme", "models=", "models"])
def test_a_bucket_that_nobody_has_is_refused(wrong):
    done = printed("faceserve", "--bucket", wrong)
    assert done.exit_code == 2 and "our buckets are airflow-logs, backups" in done.output
