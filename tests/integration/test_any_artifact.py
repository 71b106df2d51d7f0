"""Any damage to any file of a model: it is refused with a sentence that is no accident, or it is as good as before.

`make fuzz` draws FUZZ_EXAMPLES.
"""

import hashlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.lifecycle_client import FaceserveError
from include.contract.manifest import MANIFEST
from tests.corpus.fuzz import drawn, mangled
from tests.corpus.json_values import ANY_JSON
from tests.replica.world import offer, vetting_replica
from tests.tiny_model import grey_photo, stain_or_mud, tiny_artifact

pytestmark = pytest.mark.integration

WHOLE = tiny_artifact(beside=stain_or_mud())
FIELDS = sorted(json.loads(WHOLE[MANIFEST]))
# What a replica says of a model, or of a machine that is too busy to try one; anything else would be its own fault.
REFUSED = {"FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
NUMBERS = itertools.count()


@st.composite
def damaged(draw):
    """Its files. Where whoever damaged them wrote the manifest anew, their hashes are right, and more is looked at."""
    files = dict(WHOLE)
    for path in draw(st.lists(st.sampled_from(sorted(set(WHOLE) - {MANIFEST})), min_size=1, max_size=2, unique=True)):
        body = draw(st.none() | st.binary(max_size=60) | mangled(st.just(WHOLE[path])))
        files = {name: kept for name, kept in files.items() if name != path} | (
            {path: body} if body is not None else {}
        )
    if not draw(st.booleans()):
        return files
    manifest = json.loads(WHOLE[MANIFEST])
    hashes = {path: hashlib.sha256(body).hexdigest() for path, body in files.items() if path != MANIFEST}
    return files | {MANIFEST: json.dumps(manifest | {"files": hashes}).encode()}


@st.composite
def misdescribed(draw):
    """Whole files, of which the manifest says odd things."""
    manifest = json.loads(WHOLE[MANIFEST]) | draw(st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, min_size=1))
    for name in draw(st.sets(st.sampled_from(FIELDS), max_size=1)):
        manifest.pop(name)
    body = json.dumps(manifest).encode()
    return WHOLE | {MANIFEST: draw(st.just(body) | mangled(st.just(body)) | ANY_JSON.map(json.dumps).map(str.encode))}


@pytest.fixture(scope="module")
def world(running_services, tmp_path_factory):
    with vetting_replica(tmp_path_factory.mktemp("state"), running_services.stack.s3_endpoint, "any") as made:
        yield made


@given(files=damaged() | misdescribed())
@drawn(6)
def test_whatever_is_wrong_with_a_model_is_refused_and_nobody_notices(world, files):
    version = f"v2.{next(NUMBERS)}.0"
    try:
        offer(world, version, files)
    except FaceserveError as error:
        assert error.code in REFUSED, error
        assert len(str(error)) < 1000, error
        assert "Traceback" not in str(error)
    else:
        world.lifecycle.discard("laundry", version)
    served = world.client.classify("laundry", grey_photo(20))
    assert (served.label, served.model_version) == ("불량", "v1.0.0")
    assert world.lifecycle.status("laundry").prepared == ()
