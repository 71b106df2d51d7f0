"""What somebody has to mend, as sentences, whatever a look at the champion says."""

from datetime import timedelta

from pipeline.domain.ledger import PREVIOUS, RollbackRequest
from pipeline.domain.transitions import By, Entry, Phase
from pipeline.steps.to_mend import to_mend
from tests.builders import NOW
from tests.histories import a_history

BY = By("kim", "too strict", "request")


def mirrored(*acts):
    ledger = a_history(*acts)
    return ledger.followed_by(Entry(Phase.MIRRORED, ledger.changes[-1], NOW))


def sentences(history, now=NOW):
    return to_mend(history, now, trial_hours=48)


def test_nothing_is_to_mend_where_all_is_well():
    assert sentences(mirrored("promote v1.0.0", "promote v1.1.0")) == []


def test_a_trial_is_forgotten_after_its_hours_and_not_a_second_sooner():
    history = mirrored("promote v1.0.0").followed_by(a_history("promote v1.0.0", "try v1.1.0").entries[-1])
    late = history.trial_since + timedelta(hours=48)
    assert sentences(history, late) == []
    (said,) = sentences(history, late + timedelta(seconds=1))
    assert said == f"v1.1.0 is on trial since {history.trial_since:%Y-%m-%d %H:%M} UTC and nobody judges it: abort it"


def test_each_thing_that_is_left_undone_is_a_sentence():
    history = mirrored("promote v1.0.0", "promote v1.1.0")
    back = history.roll_back(RollbackRequest(PREVIOUS, NOW + timedelta(days=1)), BY, NOW)
    failed = history.followed_by(Entry(Phase.FAILED, back, NOW, "replica-1 refused"))
    assert sentences(failed) == ["the rollback to v1.0.0 failed and was not repeated: replica-1 refused"]
    asked = history.followed_by(Entry(Phase.REQUESTED, back, NOW))
    assert sentences(asked) == ["nobody knows yet what came of v1.0.0, asked for by kim (too strict)"]
    served = history.followed_by(
        Entry(Phase.SERVED, back, NOW), Entry(Phase.INCOMPLETE, back, NOW, "replica-2 does not answer")
    )
    assert sentences(served) == [
        "not every replica came back to v1.0.0: replica-2 does not answer",
        "the registry was not seen to name v1.0.0: a new replica may serve another one",
    ]
