"""At every port call of one act another runs whole: neither leaves the wrong model live, nor anything half done."""

from itertools import product

import pytest

from pipeline.domain.errors import StaleTransition, UnknownVersion
from tests.stateful.acts import PREVIOUS
from tests.stateful.machine import Story, Trouble
from tests.stateful.world import StatefulWorld

MOST_CALLS = 60


def story(of, make=StatefulWorld):
    """Three versions were live in turn, the fourth is a candidate."""
    made = Story(make())
    for _ in range(3):
        made.candidate("accepted")
        made.perform(made.request("promote", made.versions[-1]))
    made.candidate("accepted")
    made.candidate("refused")
    _SETTINGS[of](made)
    made.check()
    return made


def _trial(made):
    made.candidate("accepted")
    made.perform(made.request("start canary", "v1.3.0"))
    # It lost its share: a look at the canary gives it back.
    made.world.restart("replica-2")


def _archived(made):
    made.perform(made.request("retire"))
    assert oracle_archived(made) == {"v1.0.0"}


def _frozen(made):
    made.world.metrics.agreed["v1.2.0"] = 60
    made.perform(made.request("watch"))
    made.world.metrics.agreed["v1.1.0"] = 60
    assert made.world.ledger.freeze is not None


def oracle_archived(made):
    return set(made.world.ledger.archived)


def _held(made):
    made.candidate("held")


_SETTINGS = {
    "candidate": lambda made: None,
    "trial": _trial,
    "archived": _archived,
    "frozen": _frozen,
    "held": _held,
}


def _failing(made):
    made.world.metrics.agreed["v1.2.0"] = 60
    return made.request("watch")


ACTS = {
    "promote": lambda s: s.request("promote", "v1.3.0"),
    "start canary": lambda s: s.request("start canary", "v1.3.0"),
    "abort canary": lambda s: s.request("abort canary", "v1.3.0"),
    "judge canary": lambda s: s.request("judge canary", "v1.3.0"),
    "promote canary": lambda s: s.request("promote canary", "v1.3.0"),
    "roll back": lambda s: s.request("roll back", PREVIOUS),
    "roll back by name": lambda s: s.request("roll back", "v1.0.0"),
    "monitor": _failing,
    "force": lambda s: s.request("force", "run-5"),
    "clear freeze": lambda s: s.request("clear freeze"),
    "retire": lambda s: s.request("retire"),
    "restore": lambda s: s.request("restore", "v1.0.0"),
    "reconcile": lambda s: s.request("reconcile"),
    "conclude": lambda s: s.request("conclude", "v1.3.0"),
    "prune": lambda s: s.request("prune"),
    "approve": lambda s: s.request("approve", "run-6"),
    "refuse": lambda s: s.request("refuse", "run-6"),
    "force held": lambda s: s.request("force", "run-6"),
    "start another": lambda s: s.request("start canary", "v1.4.0"),
}
ROLLBACKS = ("roll back", "roll back by name", "monitor")
OF_STORY = {
    "candidate": ("promote", "start canary", *ROLLBACKS, "force", "retire", "reconcile", "conclude"),
    "trial": ("abort canary", "judge canary", "promote canary", *ROLLBACKS, "force", "retire", "reconcile", "conclude"),
    "archived": ("promote", "roll back by name", "retire", "restore", "reconcile"),
    "frozen": ("clear freeze", "roll back", "roll back by name", "promote", "monitor", "reconcile", "retire"),
}
# What is asked beside these alone.
MORE = [
    *product(["archived"], ["force", "monitor", "start canary", "roll back"], ["retire", "restore"]),
    *product(["candidate", "trial"], ["restore"], ["promote", "start canary", "promote canary", "roll back by name"]),
    *product(["trial"], ["start another"], ["abort canary", "judge canary", "promote canary", "force", "reconcile"]),
    *product(["frozen"], ["clear freeze"], ["force", "start canary"]),
    *product(["held"], ["approve", "refuse"], ["force held", "prune", "promote", "approve", "refuse"]),
    *product(["candidate", "held"], ["prune"], ["force", "force held", "retire", "promote"]),
]
BOTH_WAYS = [pair for of, a, b in MORE for pair in ((of, a, b), (of, b, a))]
PAIRS = [(of, a, b) for of, acts in OF_STORY.items() for a, b in product(acts, repeat=2)]
PAIRS = list(dict.fromkeys([*PAIRS, *BOTH_WAYS]))


def interleaved(of, first, second, calls=range(1, MOST_CALLS), make=StatefulWorld):
    """The story after `second` ran whole at each of these calls of `first` in turn."""
    for at in calls:
        made = story(of, make)
        a, b = ACTS[first](made), ACTS[second](made)
        answer = made.perform(a, Trouble("meanwhile", at), meanwhile=b)
        if not made.other.began:
            return
        yield made, answer, at
    raise AssertionError(f"{first} makes over {MOST_CALLS} calls")


@pytest.mark.parametrize(("of", "first", "second"), PAIRS, ids=lambda one: one.replace(" ", "_"))
def test_two_at_once_leave_one_story(of, first, second):
    demand_one_story(of, (first, second), interleaved(of, first, second))


def demand_one_story(of, acts, stories):
    first, second = acts
    for made, answer, at in stories:
        try:
            made.check()
            answers = ((first, answer), (second, made.other.answer))
            _demand_true_answers(made, first, answers)
            _demand_that_no_emergency_is_turned_away(made, of, (first, second), answers)
            made.recover(late=False)
        except AssertionError as error:
            raise AssertionError(f"{second} at call {at} of {first}: {error}") from error


def _demand_that_no_emergency_is_turned_away(made, of, acts, answers):
    """Neither by a preparation that it would wait for, nor by what others append meanwhile."""
    for (act, answer), (other, its_answer) in zip(answers, reversed(answers), strict=True):
        if act not in ROLLBACKS or other in ROLLBACKS or (of, act) == ("frozen", "monitor"):
            continue
        if act == acts[1]:
            assert set(made.other.waited_for) <= {"champion of LAUNDRY"}
        if isinstance(answer, UnknownVersion) and (other == "retire" or of == "archived"):
            assert "is archived: restore it" in str(answer)
        elif isinstance(answer, StaleTransition) and hasattr(its_answer, "change"):
            # The new version went live first, and nobody has seen how good it is.
            assert _says_that_another_serves(answer), answer
        else:
            assert not isinstance(answer, BaseException), answer


def _says_that_another_serves(refusal):
    return any(said in str(refusal) for said in ("after this rollback was asked for", "serves by now"))


def _demand_true_answers(made, first, answers):
    """What an act said of itself is so by the log; one that ran meanwhile could not know what came after."""
    for act, answer in answers:
        if act == "conclude" and act == first and isinstance(answer, str):
            live = "v1.3.0" in {change.version for change in made.world.ledger.changes}
            assert (answer == "deployed") == live, f"conclude says {answer}"
        if act in {*ROLLBACKS, "promote", "promote canary", "force"} and hasattr(answer, "change"):
            assert made.world.ledger.done(answer.change.id) == answer.change
