"""The state machine's body: acts under faults, and what is demanded after each."""

from dataclasses import dataclass

from pipeline.domain.errors import GiveUp, TryAgain
from tests.fakes.deployment import for_ever
from tests.fakes.faults import Fault, Killed, unavailable
from tests.fakes.fleet import Accident
from tests.fakes.turns import Turns
from tests.stateful import oracle
from tests.stateful.acts import PREVIOUS, Request
from tests.unit.pipeline.steps.live_world import LAUNDRY


@dataclass(frozen=True)
class Trouble:
    """What befalls an act at its call number `at`: `how` is `none`, `unavailable`, `outage` (until the act ends),
    `killed`, `hangs` or `dies`.
    """

    how: str = "none"
    at: int = 0
    after: bool = False


CALM = Trouble()


@dataclass(frozen=True)
class Other:
    """Of the act that ran meanwhile: whether it did, what it got, and the locks it waited for."""

    began: bool
    answer: object
    waited_for: tuple[str, ...]


class Story:
    """A world, everything asked of it so far, and the parts of it that an accident put astray.

    Services that are `away` stay so from act to act, for whoever acts: replicas reach the registry by another way.
    """

    def __init__(self, world):
        self.world = world
        self.requests: list[Request] = []
        self.versions: list[str] = []
        self.runs = 0
        self.away: set[str] = set()
        self.astray: set[str] = set()
        self.misled: set[str] = set()
        self.judged = 0
        self.harm: dict[str, tuple[str, int]] = {}
        self.other = Other(False, None, ())

    # Acts

    def request(self, kind, of="", **more):
        """A new one; a version is first tried by the run that made it, and promoted by whoever tried it."""
        made = Request(kind, of, self._own_id(kind, of), self.world.clock.now(), **more)
        self.requests.append(made)
        return made

    def _own_id(self, kind, of):
        own = None
        if kind == "promote canary":
            own = oracle.begun_by(self.entries, of)
        elif kind == "start canary" and of in self.versions:
            run = self.world.versions.get(LAUNDRY, of).run_id
            own = None if any(made.id == run for made in self.requests) else run
        return own or f"request-{len(self.requests) + 1}"

    def candidate(self, verdict):
        self.runs += 1
        run = f"run-{self.runs}"
        self.world.train(run, verdict)
        if verdict in {"accepted", "approved"}:
            self.versions.append(self.world.register(run))
        return run

    def perform(self, request, trouble=CALM, meanwhile=None):
        """The answer, or the refusal: always a sentence. `meanwhile` is another request that runs at call `at`."""
        before, fault = self.entries, self._fault(trouble)
        if trouble.how in {"hangs", "dies"}:
            self.world.fleet.accident = Accident(trouble.at, trouble.after, trouble.how == "hangs")
        try:
            alone = meanwhile is None
            answer = _answer(request, self.world, fault) if alone else self._together(request, fault, meanwhile)
            oracle.demand_no_refusal(before, request, answer)
            return answer
        finally:
            self.world.fleet.accident = None
            self.note_new_versions()

    def _together(self, request, fault, meanwhile):
        answers, before = [], self.entries
        turns = Turns(lambda: answers.append(_answer(meanwhile, self.world, Fault(down=self.away))))
        fault.meanwhile = turns.begin
        self.world.transitions.wait = turns.wait
        try:
            return _answer(request, self.world, fault)
        finally:
            turns.finish()
            self.other = Other(turns.began, answers[0] if answers else None, tuple(turns.waited_for))
            oracle.demand_no_refusal(before, meanwhile, self.other.answer)
            self.world.transitions.wait = for_ever

    def _fault(self, trouble):
        if trouble.how in {"unavailable", "outage"}:
            lasting = trouble.how == "outage"
            return Fault(trouble.at, trouble.after, unavailable(), lasting=lasting, down=self.away)
        if trouble.how == "killed":
            return Fault(trouble.at, trouble.after, Killed, down=self.away)
        return Fault(trouble.at if trouble.how == "meanwhile" else 0, down=self.away)

    def note_new_versions(self):
        """A forced run gets its number by being forced."""
        known = {v.version for v in self.world.versions.all(LAUNDRY)}
        self.versions += sorted(known - set(self.versions))

    # Replicas

    def see_harm(self, name):
        """It throws the canary out, which nobody but its own status tells."""
        replica = self.world.fleet.replicas[name]
        if replica.canary is not None:
            self.harm[name] = (replica.canary.version, len(self.entries))
            replica.sees_harm()

    def restart(self, name):
        """It asks the registry: where that tells the truth, it comes back with nothing that served before."""
        reigns, replica = self.world.ledger.reigns, self.world.fleet.replicas[name]
        tried = replica.canary
        self.world.restart(name)
        if tried is not None and replica.seen().harm:
            self.harm[name] = (tried.version, len(self.entries))
        if reigns and self.world.registry.aliases.get(LAUNDRY, {}).get("champion") == reigns[-1].version:
            champion, since = reigns[-1].version, reigns[-1].since.timestamp()
            assert replica.active is not None, f"{name} came back with nothing"
            right = replica.active.version == champion or replica.active.activated_at > since
            assert right, f"{name} came back with {replica.active.version}, {champion} is champion"
        self.back(name)

    def restart_with_an_empty_disk(self, name):
        """All it knows is what the registry says."""
        self.world.fleet.replicas[name].state = None
        # Only its disk had it.
        self.harm.pop(name, None)
        self.restart(name)
        if oracle.registry_is_behind(self.entries):
            self.misled.add(name)

    def back(self, name):
        """It came back: with the champion, or astray until somebody reconciles."""
        self.astray.add(name)
        self.misled.discard(name)

    def recover(self, *, late):
        """Every service is up, every replica answers, somebody reconciles once; the monitor of a canary looks."""
        fleet = self.world.fleet
        self.away.clear()
        for name in list(fleet.hung):
            fleet.wake(name, late=late)
        for name in list(fleet.down):
            self.restart(name)
        for trouble in (fleet.out, fleet.refuses, fleet.forgets, fleet.stuck):
            trouble.clear()
        answer = self.perform(self.request("reconcile"))
        assert not isinstance(answer, BaseException), f"reconciling was refused: {answer}"
        self.check()
        oracle.demand_one_story(self.world, self.entries)
        if (trial := oracle.trial(self.entries)) is not None:
            verdict = self.perform(self.request("judge canary", trial))
            oracle.demand_fair(verdict, trial, self.entries, self.harm)
            if getattr(verdict, "decision", "") == "wait":
                assert {s.version for s in fleet.canaries(LAUNDRY) if s.running} == {trial}
                assert len(fleet.canaries(LAUNDRY)) == len(fleet.names)

    # What is demanded

    @property
    def entries(self):
        return self.world.ledger.entries

    def check(self):
        entries, world = self.entries, self.world
        wanted_previous = {r.id for r in self.requests if r.of == PREVIOUS and r.judged is None}
        for number in range(self.judged, len(entries)):
            oracle.demand_rightful(world, entries[:number], entries[number], wanted_previous)
            in_rotation = {name: seen for name, seen in self.harm.items() if name not in world.fleet.out}
            oracle.demand_harmless(entries[:number], entries[number], in_rotation)
        self.judged = len(entries)
        self.astray = {
            name
            for name in self.astray
            if (active := world.fleet.replicas[name].active) is None
            or active.version != oracle.champion(entries)
            or (world.fleet.replicas[name].canary is not None)
        }
        oracle.demand_one_effect_a_request(entries)
        oracle.demand_events_for_effects(world, entries)
        oracle.demand_rows_follow(world, entries)
        oracle.demand_overrides_follow(world, entries, [f"run-{n}" for n in range(1, self.runs + 1)])
        oracle.demand_files(world)
        oracle.demand_that_the_log_knows_the_registry(world, entries)
        self.misled = oracle.demand_that_nobody_stays_misled(world, entries, self.misled)
        oracle.demand_rightful_replicas(world, entries, self.astray)


def _answer(request, world, fault):
    try:
        return request.run(world, fault)
    except (GiveUp, TryAgain) as refusal:
        assert len(str(refusal)) > 10, f"{request.kind} was refused without a sentence: {refusal!r}"
        return refusal
    except Killed as killed:
        return killed
