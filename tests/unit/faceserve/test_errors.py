"""Who asks again, and who does not."""

import pytest

from faceserve import errors
from include.contract.channel import FaceserveError

KNOWN = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.ServingError)]


@pytest.mark.parametrize("kind", KNOWN)
def test_a_server_and_its_callers_ask_again_after_the_same_errors(kind):
    assert errors.may_pass(kind("why")) == FaceserveError("replica-1", kind.status, "why").may_pass


def test_only_what_a_candidate_is_refused_for_is_held_against_it():
    passing = {"NoVerdict", "DiskUnusable", "StorageUnavailable", "ObjectRefused", "RegistryUnavailable", "Overloaded"}
    assert passing <= {one.__name__ for one in KNOWN if errors.may_pass(one("why"))}
    assert not errors.may_pass(errors.BadArtifact("damaged"))
    assert all(errors.may_pass(one) for one in (OSError(5, "Input/output error"), MemoryError(), RuntimeError()))
