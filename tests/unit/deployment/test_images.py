"""Each image, as its Dockerfile and .dockerignore make it, holds what its programs read and import."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.stack.layout import REPOSITORY
from pipeline.learning.faces import base_weights
from tests.image_tree import ImageTree, dockerfile, ignored, locked

DOCKERFILES = ("application", "faceserve")
PACKAGES = ("application", "training", "training-cuda", "faceserve")
TEST_TOOLS = {"pytest", "hypothesis", "mypy", "ruff", "mutmut", "kmock", "kubernetes-validate", "import-linter"}
TEST_TOOLS |= {"pip-audit", "cyclonedx-bom"}
EVERYTHING = """
import importlib, json, os, pathlib
from types import SimpleNamespace
from click.testing import CliRunner
from kubernetes.client import ApiClient

for module in ("pipeline", "faceserve", "include.stack"):
    shown = CliRunner().invoke(importlib.import_module(f"{module}.__main__").main, ["--help"])
    assert shown.exit_code == 0, (module, shown.output)
# Faces are judged and registered where TensorFlow is not.
for module in ("learner", "artifact", "network"):
    importlib.import_module(f"pipeline.learning.faces.{module}")
for module in (*os.environ["STARTED"].split(), "include.helper_service.app", "include.access_service.app"):
    importlib.import_module(module)
for file in sorted(pathlib.Path("dags").glob("*.py")):
    importlib.import_module(f"dags.{file.stem}")
os.environ["RETRAIN_TRAINING_RUNTIME"] = "kubernetes"
dag = importlib.import_module("dags.model_retraining").model_retraining("LAUNDRY", None)
task = dag.get_task("train").prepare_for_execution()
ti = SimpleNamespace(dag_id="d", task_id="train", run_id="r", try_number=1, max_tries=4, map_index=-1)
pod = task.build_pod_request_obj({"ti": ti, "dag": dag, "run_id": "r"}, dry_run=True)
importlib.import_module("dags.face_model_retraining").face_model_retraining().get_task("train")
print("\\n" + json.dumps(ApiClient().sanitize_for_serialization(pod)["spec"]["containers"][0]["envFrom"]))
"""


def started():
    """Every module that compose, the manifests or a probe of theirs starts in the application's image."""
    files = [REPOSITORY / "docker-compose.yaml", *sorted((REPOSITORY / "include/k8s").rglob("*.yaml"))]
    return sorted({one for file in files for one in re.findall(r"-m,?\s+(?:- )?(include\.[\w.]+)", file.read_text())})


def names(packages):
    return {pin.split("==")[0].split("[")[0] for pin in locked(packages)}


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    return ImageTree.of("application", tmp_path_factory.mktemp("application"), "application")


@pytest.fixture(scope="module")
def faceserve(tmp_path_factory):
    return ImageTree.of("faceserve", tmp_path_factory.mktemp("faceserve"), "faceserve")


def test_in_the_application_image_every_program_and_dag_loads_and_a_training_pod_has_its_template(
    application, tmp_path
):
    assert {"include.docker.migrate", "include.docker.certificate_secrets", "include.stack.certificates"} < {*started()}
    settings = {"AIRFLOW_HOME": str(tmp_path), "RETRAIN_TRAINING_IMAGE": "x@sha256:" + "a" * 64}
    done = application.run("-c", EVERYTHING, STARTED=" ".join(started()), **settings)
    assert done.returncode == 0, done.stderr[-1000:]
    assert (
        done.stdout.splitlines()[-1]
        == '[{"configMapRef": {"name": "retraining"}}, {"configMapRef": {"name": "storage"}}]'
    )


@pytest.mark.parametrize(("packages", "has"), [("application", False), ("training", True), ("training-cuda", True)])
def test_where_models_are_trained_the_network_of_faces_is_where_it_is_looked_for(packages, has, tmp_path):
    """What installing fetches on a machine, a build has to fetch, too: here a stand-in writes where it is told to."""
    (command,) = re.findall(r"^RUN (case .+ esac)$", dockerfile("application"), re.MULTILINE)
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/fetched\n')
    (tmp_path / "python").chmod(0o755)
    where = {"PACKAGES": packages, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-euc", command], env=where, check=True)
    fetched = (tmp_path / "fetched").read_text().split() if (tmp_path / "fetched").exists() else []
    folder = f"/opt/venv/{base_weights.FOLDER.relative_to(sys.prefix)}"
    assert fetched == (["/tmp/face_weights.py", folder] if has else [])
    assert "COPY include/stack/face_weights.py /tmp/\n" in dockerfile("application").partition("RUN case")[0]


def test_in_the_faceserve_image_every_program_starts_and_nothing_of_the_pipeline_is_there(faceserve):
    words = "import faceserve.server, faceserve.engines.openvino_engine, faceserve.load_test, include.docker.health"
    for arguments in (("-m", "faceserve", "--help"), ("-c", words)):
        done = faceserve.run(*arguments)
        assert done.returncode == 0, done.stderr[-1000:]
    assert not (faceserve.root / "pipeline").exists() and not (faceserve.root / "plugins").exists()


def test_in_the_training_image_a_checkpoint_knows_its_code(tmp_path):
    """On processors TensorFlow is installed under another name: no training came further than its first checkpoint."""
    training = ImageTree.of("application", tmp_path, "training")
    done = training.run("-c", "from pipeline.learning.checkpoints import code_version; print(len(code_version()))")
    assert (done.returncode, done.stdout) == (0, "16\n"), done.stderr[-1000:]


@pytest.mark.parametrize(("learns", "kinds"), [(False, {"ir"}), (True, {"ir", "onnx", "tf"})])
def test_what_is_trimmed_of_openvino_is_what_an_image_does_not_read(learns, kinds, tmp_path):
    """Who learns converts models: with what only servers need, no training came further than its features."""
    whole = Path(importlib.util.find_spec("openvino").origin).parent
    shutil.copytree(whole, tmp_path / "openvino", ignore=shutil.ignore_patterns("libopenvino_intel_[gn]pu_plugin.so"))
    if learns:
        (tmp_path / "tensorflow").mkdir()
    subprocess.run(["sh", REPOSITORY / "include/docker/trim.sh", tmp_path], check=True)
    shutil.rmtree(tmp_path / "tensorflow", ignore_errors=True)
    # The rest is as it is installed, and of OpenVINO there is nothing else to be found.
    for package in (one for one in whole.parent.iterdir() if not one.name.startswith("openvino")):
        (tmp_path / package.name).symlink_to(package)
    words = "import openvino as ov; from openvino.frontend.frontend import FrontEndManager as Manager"
    words += "; print(hasattr(ov, 'convert_model'), *sorted(Manager().get_available_front_ends()))"
    where = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-S", "-c", words], env=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    converts, *found = done.stdout.split()
    assert converts == str(learns)
    assert kinds <= set(found) and (learns or set(found) == kinds)


def test_a_package_that_an_image_lacks_is_not_found_in_its_tree(application):
    done = application.run("-c", "import tensorflow")
    assert "tensorflow is not among the packages of this image" in done.stderr


def test_what_the_build_does_not_see_cannot_be_copied():
    for path in (".env", ".git/config", "tests/conftest.py", "include/demo/story.py", "include/bench/plots.py"):
        assert ignored(path)
    assert not ignored("include/k8s/train-pod.yaml")


@pytest.mark.parametrize("packages", PACKAGES)
def test_an_image_has_packages_of_the_whole_lock_and_no_test_tools(packages):
    text = (REPOSITORY / "requirements.txt").read_text()
    whole = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    checksums = set(re.findall(r"sha256:\w+", text))
    for pin, hashes in locked(packages).items():
        name, version = pin.split("==")
        plain = {"tensorflow-cpu": "tensorflow"}.get(name.split("[")[0], name.split("[")[0])
        if not plain.startswith("nvidia-") or plain == "nvidia-ml-py":
            assert whole[plain] == version, pin
        if plain == name:
            assert hashes <= checksums or plain.startswith("nvidia-")
    assert names(packages) & TEST_TOOLS == set()


def test_only_the_training_images_learn_and_only_one_has_the_libraries_of_gpus():
    assert {n for n in names("application") | names("faceserve") if n.startswith(("tensorflow", "keras"))} == set()
    assert names("application") < names("training") and names("application") < names("training-cuda")
    assert "tensorflow-cpu" in names("training") and "tensorflow" not in names("training")
    assert "tensorflow" in names("training-cuda") and "nvidia-cudnn-cu12" in names("training-cuda")
    assert not [n for n in names("training") if n.startswith("nvidia-") and n != "nvidia-ml-py"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_built_in_stages_by_hash_and_runs_as_a_user_of_a_number(name):
    text = dockerfile(name)
    # By number, so that Kubernetes can see that it is not root.
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["10001"]
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE) == ["python:3.11-slim-bookworm"]
    installs = [line for line in text.splitlines() if re.search(r"\b(pip install|pip sync)\b", line)]
    assert installs and all(line.count("--require-hashes") == 2 for line in installs)
    assert "uv" not in text.rpartition("\nFROM ")[2].replace("uv.txt", "").split()


# What is in them, and what is known of that


@pytest.fixture
def auditing(tmp_path):
    """Runs the script where its programs are stand-ins: they keep what they were asked, and refuse `training`."""
    folder, tools = tmp_path / "include/docker", tmp_path / ".stack/tools/audit/bin"
    for made in (folder, tools):
        made.mkdir(parents=True)
    for name in ("audit.sh", "audit.txt", *(f"{packages}.txt" for packages in PACKAGES)):
        shutil.copy(REPOSITORY / "include/docker" / name, folder)
    shutil.copy(folder / "audit.txt", tools.parent / "made-from.txt")
    for name in ("pip-audit", "cyclonedx-py"):
        program = tools / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >> asked\ncase "$*" in *docker/training.txt*) exit 1 ;; esac\n'
        )
        program.chmod(0o755)

    def ask(*words):
        done = subprocess.run(["sh", folder / "audit.sh", *words], capture_output=True, text=True, check=False)
        asked = tmp_path / "asked"
        return done.returncode, asked.read_text().splitlines() if asked.exists() else []

    return ask


def test_every_image_is_asked_about_and_one_with_a_known_fault_fails_all_without_hiding_the_others(auditing):
    status, asked = auditing("audit")
    assert status == 1
    assert {re.search(r"docker/([\w-]+)\.txt", line)[1] for line in asked} == set(PACKAGES)
    # What could not be asked about is no good news; what is locked is neither resolved nor installed.
    assert all({"--strict", "--require-hashes", "--disable-pip"} <= set(line.split()) for line in asked)
    assert auditing("audit", "faceserve")[0] == 0


def test_what_the_auditor_cannot_do_it_says(auditing):
    assert auditing("rescue") == (2, []) and auditing() == (2, [])


def test_the_programs_that_audit_are_installed_by_checksum():
    pins = locked("audit")
    assert {"pip-audit", "cyclonedx-bom"} <= names("audit") and all(pins.values())
