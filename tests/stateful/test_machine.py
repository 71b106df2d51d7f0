"""Any sequence of acts, faults and accidents: hypothesis looks for the one that puts the wrong model live.

`STATEFUL_EXAMPLES` sequences of `STATEFUL_STEPS` acts each; `make stateful` takes 20 000.
"""

import os
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.faults import SERVICES
from tests.stateful.acts import PREVIOUS
from tests.stateful.machine import CALM, Story, Trouble
from tests.stateful.world import StatefulWorld

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "100"))
STEPS = int(os.environ.get("STATEFUL_STEPS", "30"))
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

# The longest act, a forced promotion that is told to the registry anew, makes so many.
MOST_CALLS = 45
_calls = st.one_of(st.integers(1, 12), st.integers(1, MOST_CALLS))
troubles = st.one_of(
    st.just(CALM),
    st.just(CALM),
    st.builds(Trouble, st.sampled_from(["unavailable", "outage", "killed", "hangs", "dies"]), _calls, st.booleans()),
)
which = st.integers(0, 7)
replicas = st.sampled_from(["replica-1", "replica-2"])
NAMED = ["promote", "start canary", "roll back", "force", "restore", "conclude", "announce failure"]
PLAIN = ["watch", "clear freeze", "retire", "reconcile", "prune"]
OF_PEOPLE = ["approve", "refuse"]
OF_TRIAL = ["judge canary", "promote canary", "abort canary"]
OF_A_RUN = {"promote", "start canary", "judge canary", "promote canary", "abort canary"}
SAME_REQUEST = ["promote canary", "abort canary", "announce failure", "conclude"]


class Deployments(RuleBasedStateMachine):
    """`which` chooses among the newest versions, requests and runs, so that shrinking ends at the newest."""

    def make(self):
        return StatefulWorld()

    @initialize(good=st.integers(0, 3))
    def begin(self, good):
        self.story = Story(self.make())
        for _ in range(good):
            self.story.candidate("accepted")
            self.story.perform(self.story.request("promote", self.story.versions[-1]))
        self.story.check()

    # Candidates and acts

    @rule(verdict=st.sampled_from(["accepted", "accepted", "refused", "held", "approved"]))
    def candidate(self, verdict):
        self.story.candidate(verdict)

    @rule(kind=st.sampled_from(["promote", "start canary"]), trouble=troubles)
    def new_version_goes_live(self, kind, trouble):
        self.story.candidate("accepted")
        self.story.perform(self.story.request(kind, self._version(0)), trouble)

    @precondition(lambda self: self.story.world.trial())
    @rule(kind=st.sampled_from(OF_TRIAL), trouble=troubles)
    def trial_goes_on_in_its_own_request(self, kind, trouble):
        trial = self.story.world.ledger.trial
        again = self.story.request(kind, trial.version)
        self.story.requests[-1] = replace(again, id=trial.by.request_id, begun_by=trial.by.request_id)
        self.story.perform(self.story.requests[-1], trouble)

    @rule(kind=st.sampled_from(OF_TRIAL), trouble=troubles)
    def run_goes_on_after_somebody_tried_its_version_anew(self, kind, trouble):
        self.story.candidate("accepted")
        version = self._version(0)
        first, *_ = [self.story.request(act, version) for act in ("start canary", "abort canary", "start canary")]
        for request in self.story.requests[-3:]:
            self.story.perform(request)
        own = replace(self.story.request(kind, version), id=first.id, begun_by=first.id)
        self.story.perform(own, trouble)

    @precondition(lambda self: self.story.versions)
    @rule(kind=st.sampled_from(NAMED), which=which, trouble=troubles)
    def act_on_version(self, kind, which, trouble):
        self.story.perform(self.story.request(kind, self._version(which)), trouble)

    @rule(kind=st.sampled_from(PLAIN), trouble=troubles)
    def act(self, kind, trouble):
        self.story.perform(self.story.request(kind), trouble)

    @precondition(lambda self: self.story.versions)
    @rule(kind=st.sampled_from(OF_TRIAL), trouble=troubles)
    def act_on_trial(self, kind, trouble):
        trial = self.story.world.trial() or self._version(0)
        self.story.perform(self.story.request(kind, trial), trouble)

    @rule(trouble=troubles)
    def roll_back_to_previous(self, trouble):
        self.story.perform(self.story.request("roll back", PREVIOUS), trouble)

    @rule(which=which, between=st.sampled_from([None, *PLAIN, "promote"]), trouble=troubles)
    def roll_back_as_a_question_said(self, which, between, trouble):
        """Somebody answers a while after they were asked, and what they allow is about that champion."""
        story, champion = self.story, self.story.world.champion()
        target = PREVIOUS if which == 0 or not story.versions else self._version(which)
        plan = story.perform(story.request("plan rollback", target))
        if isinstance(plan, BaseException):
            return
        assert plan.from_version == champion and champion in plan.question
        asked = story.request("roll back", plan.version, instead_of=plan.from_version)
        if between is not None:
            story.perform(story.request(between, self._version(0)))
        moved = story.world.champion() != champion
        answer = story.perform(asked, trouble)
        if moved:
            assert isinstance(answer, BaseException), f"it was about {champion}: {answer}"
        if isinstance(answer, BaseException):
            story.perform(replace(asked, kind="announce failed rollback"))

    @rule(stale=st.booleans(), trouble=troubles)
    def clear_the_freeze_that_was_seen(self, stale, trouble):
        freeze = self.story.world.ledger.freeze
        seen = "rollback:of-long-ago" if stale or freeze is None else freeze.id
        answer = self.story.perform(self.story.request("clear freeze", freeze=seen), trouble)
        if stale:
            assert isinstance(answer, BaseException), f"{seen} was not the freeze, and yet: {answer}"

    @precondition(lambda self: self.story.world.trial())
    @rule(trouble=troubles)
    def judge_a_trial_that_was_proven(self, trouble):
        self.story.perform(self.story.request("judge canary", self.story.world.trial(), proven=True), trouble)

    @precondition(lambda self: self.story.runs)
    @rule(which=which, trouble=troubles)
    def refuse_a_run(self, which, trouble):
        self.story.perform(self.story.request("refuse", f"run-{max(1, self.story.runs - which)}"), trouble)

    @rule(trouble=troubles, agreed=st.sampled_from([75, 148]))
    def people_confirm_and_the_monitor_looks(self, trouble, agreed):
        world = self.story.world
        for version in (world.champion(), world.trial()):
            if version is not None:
                world.metrics.agreed[version] = agreed
        self.story.perform(self.story.request("watch"), trouble)

    @precondition(lambda self: self.story.runs)
    @rule(which=which, trouble=troubles)
    def force_a_run(self, which, trouble):
        run = f"run-{max(1, self.story.runs - which)}"
        self.story.perform(self.story.request("force", run), trouble)

    @precondition(lambda self: self.story.runs)
    @rule(which=which, trouble=troubles)
    def approve_a_run(self, which, trouble):
        """Whatever was tried with it before: only what a person's force made serve is past approving."""
        run, world = f"run-{max(1, self.story.runs - which)}", self.story.world
        blessing = world.blessings.of_run(run)
        if not blessing.held or blessing.override is not None:
            return
        answer = self.story.perform(self.story.request("approve", run), trouble)
        fails = trouble.how in {"unavailable", "outage", "killed"} or self.story.away
        assert fails or answer.approved, answer
        if world.blessings.of_run(run).approved:
            world.register(run)
            self.story.note_new_versions()

    @precondition(lambda self: self.story.requests)
    @rule(which=which, trouble=troubles)
    def deliver_again(self, which, trouble):
        self.story.perform(self._request(which), trouble)

    @precondition(lambda self: self.story.requests and self.story.versions)
    @rule(kind=st.sampled_from(SAME_REQUEST), which=which, trouble=troubles)
    def go_on_in_the_same_request(self, kind, which, trouble):
        """As a DAG run does: the trial, its promotion and what is said of it have one id."""
        earlier = self._request(which)
        if earlier.kind not in OF_A_RUN:
            return
        again = type(earlier)(kind, self._version(0), earlier.id, earlier.at, begun_by=earlier.id)
        self.story.perform(again, trouble)

    @precondition(lambda self: self.story.versions)
    @rule(
        kinds=st.tuples(*[st.sampled_from([*NAMED, *PLAIN, *OF_TRIAL])] * 2),
        of=st.tuples(which, which),
        at=_calls,
        previous=st.tuples(st.booleans(), st.booleans()),
        fresh=st.booleans(),
    )
    def two_at_once(self, kinds, of, at, previous, fresh):
        if fresh:
            self.story.candidate("accepted")
            of = (0, *of[1:])
        first, second = (
            self.story.request(kind, PREVIOUS if kind == "roll back" and back else self._target(kind, one))
            for kind, one, back in zip(kinds, of, previous, strict=True)
        )
        self.story.perform(first, Trouble("meanwhile", at), meanwhile=second)

    # Services

    @rule(service=st.sampled_from(SERVICES))
    def service_goes_away_or_comes_back(self, service):
        """Whatever is asked meanwhile: one act fails after the other, and some need nothing of it."""
        self.story.away ^= {service}

    # Replicas

    @rule(name=replicas, hangs=st.booleans())
    def replica_goes(self, name, hangs):
        (self.story.world.fleet.hung if hangs else self.story.world.fleet.down).add(name)

    @precondition(lambda self: any(one.canary for one in self.story.world.fleet.replicas.values()))
    @rule(name=replicas)
    def replica_throws_the_canary_out(self, name):
        self.story.see_harm(name)

    @rule(name=replicas)
    def replica_restarts(self, name):
        self.story.restart(name)

    @rule(name=replicas)
    def replica_starts_on_another_machine(self, name):
        self.story.restart_with_an_empty_disk(name)

    @rule(name=replicas, late=st.booleans())
    def replica_wakes(self, name, late):
        self.story.world.fleet.wake(name, late=late)
        self.story.back(name)

    @rule(name=replicas)
    def person_takes_replica_out_or_in(self, name):
        fleet = self.story.world.fleet
        if name in fleet.out:
            fleet.out.discard(name)
            self.story.back(name)
        else:
            fleet.out.add(name)

    @precondition(lambda self: self.story.versions)
    @rule(which=which)
    def replicas_refuse_or_take_a_version(self, which):
        self.story.world.fleet.refuses ^= {self._version(which)}

    @rule(name=replicas)
    def replica_says_yes_and_goes_on(self, name):
        self.story.world.fleet.forgets ^= {name}

    @rule(name=replicas)
    def replica_answers_and_never_ends_to_load(self, name):
        self.story.world.fleet.stuck ^= {name}

    @rule(late=st.booleans())
    def everything_is_up_and_somebody_reconciles(self, late):
        self.story.recover(late=late)

    def teardown(self):
        if hasattr(self, "story"):
            self.story.recover(late=True)

    @invariant()
    def the_right_model_serves(self):
        if hasattr(self, "story"):
            self.story.check()

    # Inside

    def _version(self, which):
        return self.story.versions[-1 - which % len(self.story.versions)]

    def _request(self, which):
        return self.story.requests[-1 - which % len(self.story.requests)]

    def _target(self, kind, which):
        return (self.story.world.trial() if kind in OF_TRIAL else None) or self._version(which)


TestDeployments = Deployments.TestCase
TestDeployments.settings = SETTINGS
