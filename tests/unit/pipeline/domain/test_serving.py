"""What replicas say, and what that proves: served and failed are said of what was seen alone."""

import pytest

from pipeline.domain.serving import Serving, each_listed, elsewhere, listed, outcome
from pipeline.domain.transitions import Phase

NEW, OLD = Serving("replica-1", "v1.1.0"), Serving("replica-2", "v1.0.0")
AWAY = Serving("replica-3", None, fault="does not answer")
# What it says of its version is older than its fault.
LOST = Serving("replica-4", "v1.1.0", fault="does not answer")


@pytest.mark.parametrize(
    ("seen", "phase"),
    [
        ([NEW], Phase.SERVED),
        ([NEW, NEW], Phase.SERVED),
        ([OLD], Phase.FAILED),
        ([OLD, OLD], Phase.FAILED),
        ([NEW, OLD], Phase.UNCONFIRMED),
        ([NEW, AWAY], Phase.UNCONFIRMED),
        ([OLD, AWAY], Phase.UNCONFIRMED),
        ([AWAY], Phase.UNCONFIRMED),
        ([NEW, LOST], Phase.UNCONFIRMED),
        ([], Phase.UNCONFIRMED),
    ],
)
def test_a_change_is_served_or_failed_only_when_every_replica_says_so(seen, phase):
    assert outcome("v1.1.0", seen) is phase


def test_who_is_not_seen_to_serve_a_version_is_listed_with_what_it_says_instead():
    missing = elsewhere("v1.1.0", [NEW, OLD, AWAY, LOST])
    assert missing == {
        "replica-2": "serves v1.0.0",
        "replica-3": "does not answer",
        "replica-4": "does not answer",
    }
    assert each_listed(missing)[:2] == ("replica-2 serves v1.0.0", "replica-3 does not answer")
    assert listed(elsewhere("v1.1.0", [OLD, AWAY])) == "replica-2 serves v1.0.0; replica-3 does not answer"
    assert (str(OLD), str(AWAY)) == ("replica-2 serves v1.0.0", "replica-3 does not answer")
