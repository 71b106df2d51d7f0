"""A replica and its callers with the certificates and variables that compose and Kubernetes give them."""

import json
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from click.testing import CliRunner

from faceserve.__main__ import main as faceserve_commands
from faceserve.load_test import Plan, run
from include.access_service.faces import FaceserveFaces
from include.access_service.settings import Settings as AccessSettings
from include.contract.channel import ClientTls
from include.contract.client import FaceserveClient
from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from include.helper_service.settings import Settings as HelperSettings
from include.stack.certificates import ASKING, AUTHORITY, CERTIFICATE, KEY, SERVER, TRUSTED, Folders, keep
from include.stack.layout import REPOSITORY
from include.stand_in.asking import faceserve_of
from pipeline.adapters.serving_fleet import GrpcServingFleet, Replicas, client_tls
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from tests.kubernetes_clients import rendered
from tests.replica.world import TOKEN, replica
from tests.tiny_model import coloured_photo, grey_photo

LAUNDRY = ModelType.LAUNDRY
SERVICES = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]


def of_compose():
    """Variables of a replica and of the pipeline, and where both have their certificates mounted."""
    return SERVICES["faceserve-1"]["environment"], SERVICES["airflow-scheduler"]["environment"], "/var/lib/certificates"


def of_kubernetes():
    manifests = {(m["kind"], m["metadata"]["name"]): m for m in rendered(REPOSITORY / "include/k8s/overlays/cpu")}
    (server,) = manifests["StatefulSet", "faceserve"]["spec"]["template"]["spec"]["containers"]
    replica = {one["name"]: one["value"] for one in server["env"] if "value" in one}
    return replica, manifests["ConfigMap", "airflow"]["data"], "/certificates"


def at(variables, prefix, mounted, folder):
    """The variables about TLS that begin with `prefix`, without it, with what is mounted in `folder`."""
    names = [name for name in variables if name.startswith(prefix) and ("_TLS_" in name or "IDENTITIES" in name)]
    said = {name.removeprefix(prefix).lower(): variables[name].replace(mounted, str(folder)) for name in names}
    assert said
    return {name: json.loads(value) if value.startswith("[") else Path(value) for name, value in said.items()}


class Installation:
    """`made` is when its certificates were."""

    def __init__(self, root, told, made):
        self.store = Folders(root / "certificates")
        self.replica, self.pipeline, self.mounted = told
        keep(self.store, ["faceserve-1"], made)

    def folder(self, owner):
        return self.store.root / owner

    @contextmanager
    def server(self, folder, **settings):
        tls = at(self.replica, "FACESERVE_", self.mounted, self.folder(SERVER))
        with replica(folder, http_port=0, gallery_uri="s3://faces/", **tls, **settings) as made:
            yield made

    def fleet(self, made, owner="pipeline"):
        said = at(self.pipeline, "RETRAIN_FACESERVE_", self.mounted, self.folder(owner))
        tls = client_tls(said["tls_ca"], said["tls_certificate"], said["tls_key"])
        return GrpcServingFleet(Replicas([made.lifecycle_address], TOKEN, 30, 30, tls=tls))

    def trusting(self):
        return ClientTls(self.folder(ASKING) / TRUSTED)


def serves(fleet, made, version):
    fleet.activate(LAUNDRY, fleet.prepare(LAUNDRY, version, Artifact(*made.put(version))))
    return [one.version for one in fleet.serving(LAUNDRY)]


@pytest.mark.parametrize("told", [of_compose, of_kubernetes])
def test_the_pipeline_is_let_in_with_its_certificate_and_nobody_with_the_token_alone_or_another_certificate(
    tmp_path, told
):
    installation = Installation(tmp_path, told(), datetime.now(UTC))
    with installation.server(tmp_path / "state") as made:
        assert serves(installation.fleet(made), made, "v1.0.0") == ["v1.0.0"]
        own = [installation.folder(SERVER) / name for name in (TRUSTED, CERTIFICATE, KEY)]
        for tls in (installation.trusting(), ClientTls(*own)):
            with LifecycleClient(made.lifecycle_address, token=TOKEN, tls=tls) as knows_the_token:
                with pytest.raises(FaceserveError) as refused:
                    knows_the_token.status("laundry", timeout_seconds=30)
                assert refused.value.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}


def test_applications_ask_over_tls_alone_and_the_access_service_enrols_with_its_certificate(tmp_path, monkeypatch):
    installation = Installation(tmp_path, of_compose(), datetime.now(UTC))
    for name, owner in (("helper", ASKING), ("access", "access")):
        for variable, value in SERVICES[name]["environment"].items():
            if "_TLS_" in variable:
                monkeypatch.setenv(variable, value.replace(installation.mounted, str(installation.folder(owner))))
    with installation.server(tmp_path / "state", enrolment_token="enrols") as made:
        assert serves(installation.fleet(made), made, "v1.0.0") == ["v1.0.0"]
        with faceserve_of(HelperSettings(faceserve_replicas=(made.address,))) as helper:
            assert helper.classify("laundry", grey_photo(20)).model_version == "v1.0.0"
        with FaceserveClient([made.address], timeout_seconds=60) as plain, pytest.raises(FaceserveError):
            plain.classify("laundry", grey_photo(20))
        url = f"https://127.0.0.1:{made.server.http_port}/v2/models/laundry/ready"
        assert httpx.get(url, verify=str(installation.folder(ASKING) / TRUSTED), timeout=60).status_code == 200
        made.source.objects["s3://tasks/kim.jpg"] = coloured_photo(250, 20, 20)
        door = FaceserveFaces(
            AccessSettings(
                faceserve_replicas=(made.address,),
                faceserve_enrolment=made.lifecycle_address,
                faceserve_enrolment_token="enrols",
            )
        )
        assert door.withdraw("kim") == 0
        door.close()


@pytest.mark.parametrize("told", [of_compose, of_kubernetes])
def test_renewed_certificates_count_while_the_replica_runs_and_those_of_before_go_on(tmp_path, told):
    now = datetime.now(UTC)
    installation = Installation(tmp_path, told(), now - timedelta(days=61))
    with installation.server(tmp_path / "state") as made:
        long_lived = FaceserveClient([made.address], tls=installation.trusting(), timeout_seconds=60)
        assert serves(installation.fleet(made), made, "v1.0.0") == ["v1.0.0"]
        assert SERVER in keep(installation.store, ["faceserve-1"], now)
        assert serves(installation.fleet(made), made, "v1.1.0") == ["v1.1.0"]
        assert long_lived.classify("laundry", grey_photo(20)).model_version == "v1.1.0"
        long_lived.close()


@pytest.mark.parametrize("told", [of_compose, of_kubernetes])
def test_what_was_revoked_opens_nothing_while_the_replica_and_its_callers_run_on(tmp_path, told):
    now = datetime.now(UTC)
    installation = Installation(tmp_path, told(), now)
    with installation.server(tmp_path / "state", connection_age_seconds=0.5) as made:
        asks = FaceserveClient([made.address], tls=installation.trusting(), timeout_seconds=60)
        assert serves(installation.fleet(made), made, "v1.0.0") == ["v1.0.0"]
        assert asks.classify("laundry", grey_photo(20)).model_version == "v1.0.0"
        changes = installation.fleet(made)
        leaked = shutil.copytree(installation.folder("pipeline"), tmp_path / "leaked")
        keep(installation.store, ["faceserve-1"], now, revoke=True)
        # Whoever has the key knows whom to trust now.
        thief = ClientTls(installation.folder(ASKING) / TRUSTED, leaked / CERTIFICATE, leaked / KEY)
        with LifecycleClient(made.lifecycle_address, token=TOKEN, tls=thief) as lifecycle:
            with pytest.raises(FaceserveError) as refused:
                lifecycle.status("laundry", timeout_seconds=30)
            assert refused.value.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        # Nobody was started again.
        assert asks.classify("laundry", grey_photo(20)).model_version == "v1.0.0"
        assert serves(changes, made, "v1.1.0") == ["v1.1.0"]
        asks.close()


@pytest.mark.parametrize("encrypted", [False, True])
def test_while_a_fleet_changes_to_tls_callers_of_either_kind_are_answered_by_the_replicas_of_theirs(
    tmp_path, encrypted
):
    """As the runbook has it changed: some replicas, then the applications, then the other replicas."""
    installation = Installation(tmp_path, of_kubernetes(), datetime.now(UTC))
    with installation.server(tmp_path / "new") as new, replica(tmp_path / "old", new.source) as old:
        assert serves(installation.fleet(new), new, "v1.0.0") == ["v1.0.0"]
        old.serve("v1.0.0")
        authority = installation.folder(ASKING) / TRUSTED if encrypted else None
        plan = Plan(
            [old.address, new.address], "laundry", [grey_photo(20)], seconds=1.5, round_robin=True, ca=authority
        )
        requests = run(plan)
        tls = ClientTls.of(authority)
        with FaceserveClient([old.address, new.address], tls=tls, timeout_seconds=60) as ours:
            assert {ours.classify("laundry", grey_photo(20)).model_version for _ in range(4)} == {"v1.0.0"}
    assert requests
    assert {one.code for one in requests} == {"OK"}


def test_whoever_finds_no_certificates_for_a_moment_goes_on_with_those_that_he_has(tmp_path):
    installation = Installation(tmp_path, of_compose(), datetime.now(UTC))
    with installation.server(tmp_path / "state") as made:
        assert serves(installation.fleet(made), made, "v1.0.0") == ["v1.0.0"]
        with FaceserveClient([made.address], tls=installation.trusting(), timeout_seconds=60) as asks:
            (installation.folder(ASKING) / TRUSTED).unlink()
            assert asks.classify("laundry", grey_photo(20)).model_version == "v1.0.0"


def test_a_replica_is_looked_at_from_where_the_pipeline_runs_as_without_tls(tmp_path, monkeypatch):
    installation = Installation(tmp_path, of_compose(), datetime.now(UTC))
    with installation.server(tmp_path / "state") as made:
        serves(installation.fleet(made), made, "v1.0.0")
        for variable, value in installation.pipeline.items():
            if "FACESERVE_TLS_" in variable:
                monkeypatch.setenv(variable, value.replace(installation.mounted, str(installation.folder("pipeline"))))
        monkeypatch.setenv("RETRAIN_FACESERVE_TOKEN", TOKEN)
        seen = CliRunner().invoke(faceserve_commands, ["status", made.lifecycle_address])
        assert (seen.exit_code, json.loads(seen.output)["version"]) == (0, "v1.0.0")
        for how in ([], ["--round-robin"]):
            asked = ["load-test", made.address, "--seconds", "0.2", "--in-flight", "1", *how]
            loaded = CliRunner().invoke(faceserve_commands, asked)
            assert loaded.exit_code == 0, loaded.output


def test_after_another_authority_what_was_given_before_opens_nothing_and_nothing_restarts(tmp_path):
    installation = Installation(tmp_path, of_compose(), datetime.now(UTC))
    with installation.server(tmp_path / "state") as made:
        assert serves(installation.fleet(made), made, "v1.0.0") == ["v1.0.0"]
        stolen = tmp_path / "certificates/stolen"
        stolen.mkdir()
        for file in installation.folder("pipeline").iterdir():
            (stolen / file.name).write_bytes(file.read_bytes())
        for file in installation.folder(AUTHORITY).iterdir():
            file.unlink()
        keep(installation.store, ["faceserve-1"], datetime.now(UTC))
        (stolen / TRUSTED).write_bytes((installation.folder("pipeline") / TRUSTED).read_bytes())
        assert serves(installation.fleet(made), made, "v1.1.0") == ["v1.1.0"]
        with pytest.raises(ServiceUnavailable):
            serves(installation.fleet(made, "stolen"), made, "v1.2.0")
