"""A stack of a release without keys: what it had accepted is signed before a replica asks for it."""

import pytest

from include.contract.manifest import MANIFEST, BadManifest
from include.contract.signature import SIGNATURE, check
from include.stack.services import faceserve
from include.stack.signing_keys import SigningKeys
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.domain.models import Artifact
from tests.builders import a_model_version
from tests.contract.test_tables import Tables, a_completed_dataset
from tests.tiny_model import manifest_sha256, tiny_artifact

pytestmark = pytest.mark.integration


def test_accepted_models_of_before_are_signed_at_the_first_start_and_others_are_not(services):
    tables, keys = Tables(services.mlops), SigningKeys.of_stack(services.stack.root)
    objects = S3ObjectStore(endpoint=services.stack.s3_endpoint)
    files = tiny_artifact()
    for place in ("accepted", "left-there-by-somebody"):
        for path, body in files.items():
            objects.write(f"s3://models/LAUNDRY/{place}/{path}", body)
    artifact = Artifact("s3://models/LAUNDRY/accepted/", manifest_sha256(files))
    dataset = a_completed_dataset(tables, "accepted")
    tables.versions.register(a_model_version("v1.0.0", artifact=artifact, dataset_id=dataset.id))
    keys.earlier_models_signed.unlink()
    faceserve(services.stack).prepare()
    check(files[MANIFEST], objects.read(f"{artifact.uri}{SIGNATURE}"), keys.public)
    with pytest.raises(BadManifest):
        check(files[MANIFEST], b"", keys.public)
    assert not objects.exists(f"s3://models/LAUNDRY/left-there-by-somebody/{SIGNATURE}")
    assert keys.earlier_models_signed.exists()
