"""The study of the verdict asks the same code that judges real models."""

import pytest

from include.bench.verdicts.verification import simulate


@pytest.mark.parametrize("candidate", ["3 pp worse", "4 pp better"])
def test_every_round_ends_in_one_of_three_verdicts(candidate):
    rates = simulate(150, candidate, rounds=20, seed=1)
    assert rates.evidence_promotes + rates.evidence_inconclusive + rates.evidence_rejects == pytest.approx(1)
    assert (rates.evidence_promotes > 0) is (candidate == "4 pp better")
    assert rates.floors_promote == rates.specification_promotes


def test_the_same_seed_gives_the_same_figures():
    assert simulate(150, "equally good", 10, seed=3) == simulate(150, "equally good", 10, seed=3)
