"""The history of one model type as an aggregate that guards itself: it has every rule about what may happen next (ADR
0016).

Each decision returns the act to append, or raises the refusal as a sentence. A request that was served before gets the
act it made then, whatever happened since: one request has one effect.
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.blessing import Blessing, load_objections
from pipeline.domain.errors import (
    CanaryEnded,
    GiveUp,
    NotBlessed,
    PromotionFrozen,
    StaleTransition,
    TakenDown,
    UnknownVersion,
)
from pipeline.domain.history import History
from pipeline.domain.models import ModelVersion
from pipeline.domain.transitions import (
    ROLLBACKS,
    Archive,
    By,
    CanaryAbort,
    CanaryStart,
    ChampionChange,
    FreezeCleared,
    Kind,
    Phase,
    Restore,
    TrialOf,
)

PREVIOUS = "previous"


@dataclass(frozen=True)
class RollbackRequest:
    """What a rollback is about: `target` a version or `previous`, asked for `at`.

    `judged` is the champion that an automatic rollback condemns; None for a person's. `instead_of` is the champion that
    the question named, when a person had to allow it.
    """

    target: str
    at: datetime
    judged: str | None = None
    instead_of: str | None = None


@dataclass(frozen=True)
class Ledger(History):
    """Decides what may happen next, by what the `History` says."""

    # Going live

    def promote(self, target: ModelVersion, blessing: Blessing | None, by: By, at: datetime) -> ChampionChange:
        """Everybody gets `target`, which verification accepted against the champion of now."""
        act_id = f"promote:{self.model_type}:{by.request_id}"
        if (earlier := self._earlier(act_id, target.version)) is not None:
            return earlier
        accepted = self._demand_promotable(target, blessing)
        if (abort := self.aborted(target.version)) is not None:
            raise TakenDown(
                f"the canary of {target.version} was aborted by {abort.by.actor}: {abort.by.reason}. Try it as a "
                "canary again, or force-promote it by name"
            )
        return self._change(act_id, Kind.PROMOTE, target.version, by, at, blessing_id=accepted.id)

    def start_canary(self, target: ModelVersion, blessing: Blessing | None, by: By, at: datetime) -> CanaryStart:
        """`target` gets a share of the requests; the same request again goes on with the same trial."""
        act_id = f"canary:{self.model_type}:{target.version}:{by.request_id}"
        if self.trial is not None and self.trial.id == act_id:
            return self.trial
        if self.trial is not None:
            raise CanaryEnded(f"{self.trial.version} is on trial already: wait for its end, or abort it")
        if self.done(act_id) is not None or self.done(f"{act_id}:aborted") is not None:
            raise CanaryEnded(f"this trial of {target.version} is over: {self.end_of_trial(target.version)}")
        if self.champion is None:
            raise StaleTransition(f"no champion serves beside {target.version}: promote it in full")
        accepted = self._demand_promotable(target, blessing)
        return CanaryStart(act_id, self.model_type, target.version, by, at, self.champion, accepted.id)

    def promote_canary(self, version: str, by: By, at: datetime) -> ChampionChange:
        """Everybody gets the version on trial, and no other: by the request that began the trial."""
        act_id = f"promote:{self.model_type}:{by.request_id}"
        if (earlier := self._earlier(act_id, version)) is not None:
            return earlier
        if self.trial is None or not TrialOf(version, by.request_id).is_meant(self.trial):
            raise CanaryEnded(f"{version} is not on trial: {self.end_of_trial(version)}; nothing was promoted")
        return self._change(act_id, Kind.CANARY_PROMOTE, version, by, at, blessing_id=self.trial.blessing_id)

    def abort_canary(self, meant: TrialOf, by: By, at: datetime) -> CanaryAbort | None:
        """None when there is no trial to end that is meant, begun or only asked for."""
        for act in self.unsettled:
            if isinstance(act, CanaryAbort) and act.version == meant.version:
                return act
        earlier = self.came_true(CanaryAbort, by, meant.version)
        if earlier is not None and meant.begun_by is None:
            # This request was about an earlier trial, not about what is on trial by now.
            return earlier
        trial = self.begun
        if trial is None or not meant.is_meant(trial):
            return None
        return CanaryAbort(f"{trial.id}:aborted", self.model_type, trial.version, by, at, trial.beside, trial.id)

    def force(self, target: ModelVersion, blessing: Blessing | None, by: By, at: datetime) -> ChampionChange:
        """A person's word instead of a verdict's: recorded for ever. A passed load test is needed all the same."""
        act_id = f"forced:{self.model_type}:{by.request_id}"
        if (earlier := self._earlier(act_id, target.version)) is not None:
            return earlier
        judged = self.demand_load_test(target.version, blessing)
        self.demand_forcible(target.version, by)
        return self._change(act_id, Kind.FORCED, target.version, by, at, blessing_id=judged.id)

    def demand_forcible(self, version: str | None, by: By) -> None:
        """Raises for what force cannot skip: no name, a freeze, an archived version, the champion itself.

        `version` is None for a run that has no number yet.
        """
        by.demand_a_name("a forced promotion")
        if self._earlier(f"forced:{self.model_type}:{by.request_id}", version) is None:
            self._demand_open_for(version)

    def demand_load_test(self, wanted: str, blessing: Blessing | None) -> Blessing:
        """Raises `NotBlessed` for what not even force makes live; `wanted` is a version or a run."""
        if blessing is None or blessing.model_type != self.model_type:
            raise NotBlessed(
                f"{wanted[:80]!r} has no {self.model_type} verdict: verify it first; force skips judging, not measuring"
            )
        if objections := load_objections(blessing.checks):
            raise NotBlessed(f"not even force makes {wanted} live without a passed load test: {'; '.join(objections)}")
        return blessing

    # Going back

    def roll_back(self, asked: RollbackRequest, by: By, at: datetime) -> ChampionChange:
        """An earlier version serves again; see `RollbackRequest`."""
        act_id = f"rollback:{self.model_type}:{by.request_id}"
        if (earlier := self._earlier(act_id)) is not None:
            return earlier
        self._demand_same_champion(asked)
        if asked.judged is None:
            return self._change(act_id, Kind.ROLLBACK_MANUAL, self.rollback_target(asked.target), by, at)
        return self._change(act_id, Kind.ROLLBACK_AUTO, self._automatic_target(asked), by, at)

    @property
    def doubtful(self) -> tuple[ChampionChange, ...]:
        """Changes of champion that were tried, and of which no replica could be asked whether they came true."""
        last = {entry.act.id: entry.phase for entry in self.entries}
        tried = (act for act in self.unsettled if last[act.id] is Phase.UNCONFIRMED)
        return tuple(act for act in tried if isinstance(act, ChampionChange))

    def demand_one_meaning(self, asked: RollbackRequest) -> None:
        """Raises `UnknownVersion` for a person's `previous` while nobody can be asked whether a promotion serves: the
        version before which one?
        """
        if asked.target != PREVIOUS or asked.judged is not None:
            return
        for change in (c for c in self.doubtful if c.kind not in ROLLBACKS and c.version != self.previous):
            raise UnknownVersion(
                f"nobody knows whether {change.version} serves, which was promoted over {change.from_version}: name "
                f"{self.previous} to go back to that; to be rid of {change.version} alone, reconcile"
            )

    def rollback_target(self, target: str) -> str:
        """The version that `target`, a version or `previous`, names. Raises `UnknownVersion` with a sentence."""
        if self.champion is None:
            raise UnknownVersion(f"no {self.model_type} model has served yet: nothing to roll back to")
        if target == self.champion:
            raise UnknownVersion(f"{target} serves already: name another version")
        found = self.previous if target == PREVIOUS else target
        if found is None:
            raise UnknownVersion(
                f"{self.champion} is the only {self.model_type} version left that served: no previous one. "
                "Name a version to go to it all the same"
            )
        if found not in {change.version for change in self.changes}:
            raise UnknownVersion(f"{found[:40]!r} never served as {self.model_type}: roll back to a version that did")
        self._demand_at_hand(found)
        return found

    def clear_freeze(self, by: By, at: datetime, meant: str | None = None) -> FreezeCleared:
        """Promotions are allowed again: a person's word on the freeze `meant`; None is whichever there is."""
        by.demand_a_name("clearing the freeze")
        if (earlier := self.came_true(FreezeCleared, by)) is not None:
            return earlier
        if self.freeze is None or self.champion is None:
            raise GiveUp(f"promotions of {self.model_type} are not frozen")
        if meant not in (None, self.freeze.id):
            raise GiveUp(f"not this freeze was meant, which is {self.freeze.id!r}: look why it is there, and name it")
        return FreezeCleared(f"freeze-cleared:{self.freeze.id}", self.model_type, self.champion, by, at)

    # Files

    def retire(self, version: str, by: By, at: datetime) -> Archive:
        if (earlier := self.came_true(Archive, by, version)) is not None:
            return earlier
        if version in self.needed:
            raise GiveUp(f"{version} stays at hand: {self.needed[version]}")
        if version in self.archived:
            raise GiveUp(f"{version} is archived already")
        return Archive(
            f"archive:{self.model_type}:{version}:{self._times_archived(version) + 1}", self.model_type, version, by, at
        )

    def restore(self, version: str, by: By, at: datetime) -> Restore:
        if (earlier := self.came_true(Restore, by, version)) is not None:
            return earlier
        if version not in self.archived:
            raise UnknownVersion(f"{version} is not archived: its files are at hand")
        return Restore(
            f"restore:{self.model_type}:{version}:{self._times_archived(version)}", self.model_type, version, by, at
        )

    def _earlier(self, act_id: str, version: str | None = None) -> ChampionChange | None:
        done = self.done(act_id)
        if not isinstance(done, ChampionChange):
            return None
        if version is not None and done.version != version:
            raise StaleTransition(f"this request made {done.version} live before: ask for {version} in another one")
        return done

    def _change(
        self, act_id: str, kind: Kind, version: str, by: By, at: datetime, *, blessing_id: str | None = None
    ) -> ChampionChange:
        return ChampionChange(act_id, self.model_type, version, by, at, kind, self.champion, blessing_id)

    def _demand_promotable(self, target: ModelVersion, blessing: Blessing | None) -> Blessing:
        self._demand_at_hand(target.version)
        if blessing is None or not blessing.approved:
            raise NotBlessed(f"{target.version} was not accepted by verification: it cannot go live")
        if blessing.artifact_manifest_sha256 != target.artifact.manifest_sha256:
            raise NotBlessed(f"the verdict on {target.version} is about other files than those registered")
        self._demand_open_for(target.version)
        if (condemning := self.condemned.get(target.version)) is not None:
            raise TakenDown(
                f"{target.version} was taken down automatically ({condemning.by.reason}): only force brings it back"
            )
        if blessing.champion_version != self.champion:
            raise StaleTransition(
                f"{target.version} was verified against champion {blessing.champion_version}, but {self.champion} "
                "serves now, and a run has one verdict: train again with *force* and its *dataset_id*"
            )
        return blessing

    def _demand_open_for(self, version: str | None) -> None:
        if self.freeze is not None:
            raise PromotionFrozen(
                f"promotions are frozen since {self.freeze.from_version} was rolled back automatically "
                f"({self.freeze.by.reason}): find out why it was bad, then clear the freeze"
            )
        self._demand_at_hand(version)
        if version is not None and version == self.champion:
            raise UnknownVersion(f"{version} serves already: nothing to promote")

    def _demand_at_hand(self, version: str | None) -> None:
        if version in self.archived:
            raise UnknownVersion(f"{version} is archived: restore it before it serves")

    def _demand_same_champion(self, asked: RollbackRequest) -> None:
        """Two people who press the button at once want one step back, not two."""
        if not self.reigns:
            return
        reign = self.reigns[-1]
        about = asked.judged or asked.instead_of
        if about is not None and reign.version != about:
            raise StaleTransition(f"the rollback was about {about}, but {reign.version} serves by now")
        # Whoever names a version means it, whatever serves by now; the monitor means the reign that it judged.
        if (asked.target == PREVIOUS or asked.judged is not None) and reign.since > asked.at:
            raise StaleTransition(
                f"{reign.version} serves since {reign.since.isoformat(timespec='seconds')}, after this rollback was "
                "asked for: look at it, and ask again if it still has to go"
            )

    def _automatic_target(self, asked: RollbackRequest) -> str:
        if asked.judged in self.condemned:
            raise TakenDown(f"{asked.judged} was rolled back automatically once, and a person put it back")
        if self.freeze is not None:
            raise PromotionFrozen(
                f"{self.freeze.from_version} was rolled back automatically just before: now a person has to look"
            )
        target = self.sound_target if asked.target == PREVIOUS else self.rollback_target(asked.target)
        if target is None:
            raise UnknownVersion(f"no sound version served before {self.champion}: a person has to choose")
        if target in self.shunned:
            ended = self.taken_down[target]
            raise TakenDown(
                f"{target} was taken down by {ended.by.actor} ({ended.by.reason}): only a person goes back to it"
            )
        return target

    def _times_archived(self, version: str) -> int:
        return sum(isinstance(e.act, Archive) and e.act.version == version for e in self.facts)
