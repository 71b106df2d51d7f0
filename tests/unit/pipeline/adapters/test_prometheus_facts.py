"""Facts as Prometheus reads them: a source that is away tells nothing, and nothing old."""

import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.adapters.prometheus_facts import FactCollector
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.facts import Fact
from tests.waiting import until


class Sources:
    """`database` and `broker`; what each says next, or raises, or waits for."""

    def __init__(self, patience_seconds):
        self.say = {"database": [Fact("promotions_frozen", ("laundry",), 0)], "broker": [Fact("dead_letters", (), 3)]}
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        sources = {"database": lambda: self._ask("database"), "broker": lambda: self._ask("broker")}
        self.registry = CollectorRegistry()
        self.registry.register(FactCollector(sources, patience_seconds=patience_seconds))

    def _ask(self, name):
        said = self.say[name]
        if name == "broker":
            self.entered.release()
            self.gate.wait(60)
        if isinstance(said, Exception):
            raise said
        yield from said

    def scrape(self):
        lines = generate_latest(self.registry).decode().splitlines()
        told = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: value for name, value in told.items() if "scrape_seconds" not in name}


@pytest.fixture(params=[60])
def sources(request):
    made = Sources(request.param)
    yield made
    made.gate.set()


UP = {source: f'retraining_exporter_up{{source="{source}"}}' for source in ("database", "broker")}


def test_what_each_source_says_is_told(sources):
    assert sources.scrape() == {
        UP["database"]: "1.0",
        UP["broker"]: "1.0",
        'retraining_promotions_frozen{model="laundry"}': "0.0",
        "retraining_dead_letters": "3.0",
    }


@pytest.mark.parametrize("fault", [ServiceUnavailable("the mlops database", "gone"), KeyError("a fault of ours")])
def test_a_source_that_fails_hides_no_other_and_tells_nothing_old(sources, fault):
    sources.scrape()
    sources.say["database"] = fault
    assert sources.scrape() == {UP["database"]: "0.0", UP["broker"]: "1.0", "retraining_dead_letters": "3.0"}


def test_a_source_that_fails_in_the_middle_tells_nothing(sources):
    def half():
        yield Fact("promotions_frozen", ("laundry",), 1)
        raise ServiceUnavailable("the mlops database", "gone")

    sources.say["database"] = half()
    assert sources.scrape() == {UP["database"]: "0.0", UP["broker"]: "1.0", "retraining_dead_letters": "3.0"}


@pytest.mark.parametrize("sources", [0.2], indirect=True, ids=["impatient"])
def test_a_source_that_hangs_is_not_asked_again_and_its_late_answer_is_not_told(sources):
    sources.gate.clear()
    assert sources.scrape()[UP["broker"]] == "0.0"
    assert sources.scrape()[UP["broker"]] == "0.0"
    assert sources.entered.acquire(timeout=60)
    assert not sources.entered.acquire(blocking=False)
    sources.say["broker"] = [Fact("dead_letters", (), 4)]
    sources.gate.set()
    answers = []
    until(lambda: answers.append(sources.scrape()) or "retraining_dead_letters" in answers[-1], "an answer in time")
    assert answers[-1]["retraining_dead_letters"] == "4.0"


def test_a_series_of_a_version_that_is_gone_leaves(sources):
    sources.say["database"] = [Fact("champion_info", ("laundry", "v1.0.0"), 1)]
    sources.scrape()
    sources.say["database"] = [Fact("champion_info", ("laundry", "v1.1.0"), 1)]
    assert [name for name in sources.scrape() if "champion" in name] == [
        'retraining_champion_info{model="laundry",version="v1.1.0"}'
    ]
