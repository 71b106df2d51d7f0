"""What a trial takes over of the settings of replicas, which may stand in one file for every program."""

import pytest

from faceserve.settings import Settings
from pipeline.adapters.trial_server import without_doors

# The public key is where trainings are, too: a trial refuses what a replica would refuse.
FILES = {name for name, field in Settings.model_fields.items() if "Path" in str(field.annotation)} - {"verifying_key"}
DOORS = {name for name in Settings.model_fields if "token" in name or "tls" in name or "identities" in name}


@pytest.mark.parametrize("name", sorted((FILES - {"state_dir"}) | DOORS | {"host", "http_port", "health_port"}))
def test_a_trial_has_no_door_and_no_file_of_a_replica(name):
    variable = f"FACESERVE_{name}".upper()
    assert without_doors({variable: "/only/in/replicas", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", ["engine", "precision", "verifying_key", "s3_endpoint", "max_cpu_ms"])
def test_a_trial_serves_as_a_replica_does(name):
    variables = {f"FACESERVE_{name}".upper(): "1"}
    assert without_doors(variables) == variables
