"""The same request delivered twice: whatever happened in between, the second time hears what the first one did."""

from itertools import product

import pytest

from tests.stateful.acts import KINDS
from tests.stateful.test_interleavings import ACTS, OF_STORY, story

# What is asked of the state as it is then: it may find something new to do.
OF_NOW = {"retire", "reconcile", "conclude", "watch", "judge canary"}
BETWEEN = (None, *sorted(set(KINDS) & set(ACTS)))
CASES = [(of, act, other) for of, acts in OF_STORY.items() for act, other in product(acts, BETWEEN)]


@pytest.mark.parametrize(("of", "act", "other"), CASES, ids=lambda one: str(one).replace(" ", "_"))
def test_asked_again_it_is_done_once_and_never_refused(of, act, other):
    made = story(of)
    request = ACTS[act](made)
    first = made.perform(request)
    if other is not None:
        made.perform(ACTS[other](made))
    changed = made.entries
    # `perform` fails on a refusal of what came true before.
    again = made.perform(request)
    made.check()
    if not isinstance(first, BaseException) and request.kind not in OF_NOW:
        assert isinstance(again, BaseException) or made.entries[len(changed) :] == (), again
    made.recover(late=False)
