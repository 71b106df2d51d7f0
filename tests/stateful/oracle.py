"""What may never be, read off the raw log, the replicas, the rows, the files and the events.

Written without the ledger's own answers wherever the log alone can tell, so that both have to be wrong to agree.
"""

from collections import Counter

from pipeline.domain.blessing import OverrideKind
from pipeline.domain.errors import GiveUp, RegistryBehind
from pipeline.domain.models import Status
from pipeline.domain.retention import archive_uri
from pipeline.domain.transitions import (
    Archive,
    CanaryAbort,
    CanaryStart,
    ChampionChange,
    FreezeCleared,
    Kind,
    Phase,
    Restore,
)
from tests.fakes.replica import is_whole
from tests.unit.pipeline.steps.live_world import ARCHIVE, LAUNDRY

ROLLBACKS = {Kind.ROLLBACK_MANUAL, Kind.ROLLBACK_AUTO}


# Of the log


def served(entries):
    return [e.act for e in entries if e.phase is Phase.SERVED]


def champion(entries):
    return served(entries)[-1].version if served(entries) else None


def noted(entries, kind):
    return [e.act for e in entries if e.phase is Phase.NOTED and isinstance(e.act, kind)]


def frozen(entries):
    done = [e.act for e in entries if e.phase in {Phase.SERVED, Phase.NOTED}]
    marks = [
        isinstance(a, ChampionChange)
        for a in done
        if isinstance(a, FreezeCleared) or getattr(a, "kind", None) is Kind.ROLLBACK_AUTO
    ]
    return bool(marks) and marks[-1]


def archived(entries):
    found = set()
    for act in noted(entries, (Archive, Restore)):
        (found.add if isinstance(act, Archive) else found.discard)(act.version)
    return found


def trial(entries):
    """The version that gets a share by the log."""
    found = None
    for e in entries:
        if isinstance(e.act, CanaryStart) and e.phase is Phase.NOTED:
            found = e.act.version
        elif isinstance(e.act, CanaryAbort) or e.phase is Phase.SERVED:
            found = None
    return found


def begun_by(entries, version):
    """The request that began the last trial of `version`, whatever became of it."""
    begun = [a for a in noted(entries, CanaryStart) if a.version == version]
    return begun[-1].by.request_id if begun else None


def aborted(entries):
    """Versions whose last trial was ended, and that nobody tried again or made champion since."""
    found = set()
    for e in entries:
        if isinstance(e.act, CanaryAbort):
            found.add(e.act.version)
        elif e.phase is Phase.SERVED or (isinstance(e.act, CanaryStart) and e.phase is Phase.NOTED):
            found.discard(e.act.version)
    return found


def taken_down(entries, *, ever):
    """Versions that a rollback ended: at any time, or those of them that did not serve again since.

    Going forth, to what first served later, condemns nothing.
    """
    first, found = {}, set()
    for act in served(entries):
        first.setdefault(act.version, len(first))
        if not ever:
            found.discard(act.version)
        if act.kind in ROLLBACKS and first[act.version] < first.get(act.from_version, -1):
            found.add(act.from_version)
    return found


def condemned(entries):
    return {a.from_version for a in served(entries) if a.kind is Kind.ROLLBACK_AUTO}


# Of each new entry


def demand_rightful(world, before, entry, wanted_previous):
    """`before` are the entries until then; `wanted_previous` the requests that named no version."""
    act = entry.act
    done = {e.act.id for e in before if e.phase in {Phase.SERVED, Phase.NOTED}}
    if entry.phase in {Phase.SERVED, Phase.NOTED}:
        assert act.id not in done, f"{act.id} came true twice"
    if entry.phase is Phase.SERVED:
        assert act.from_version == champion(before), f"{act} replaced {champion(before)}"
        assert act.version != champion(before)
        assert act.version not in archived(before), f"{act.version} serves and is archived"
        _OF_KIND[act.kind](world, _as_asked(before, entry), act, wanted_previous)
    if entry.phase is Phase.NOTED and isinstance(act, CanaryStart):
        demand_accepted(world, before, act)
        assert trial(before) is None
        assert act.beside == champion(before)
    if isinstance(act, CanaryAbort):
        starts = [e.act for e in before if isinstance(e.act, CanaryStart)]
        (began,) = {start.by.request_id for start in starts if start.id == act.trial_id}
        others = {start.by.request_id for start in starts} - {began}
        assert act.by.request_id not in others, f"{act.by.request_id} ended what {began} tries"
    if entry.phase is Phase.NOTED and isinstance(act, Archive):
        assert act.version not in {champion(before), trial(before)}, f"{act.version} was archived while it serves"


def demand_accepted(world, before, act):
    row = world.versions.get(LAUNDRY, act.version)
    blessing = world.blessings.of_run(row.run_id)
    assert blessing.approved, f"{act.version} was not accepted"
    assert blessing.champion_version == champion(before), f"{act.version} was verified against another champion"
    assert act.version not in condemned(before), f"{act.version} was taken down by the monitor"
    assert act.version not in archived(before)
    assert not frozen(before), f"{act.version} although promotions are frozen"


def _promoted(world, before, act, _):
    demand_accepted(world, before, act)
    assert act.version not in aborted(before), f"the canary of {act.version} was aborted"


def _as_asked(before, entry):
    """An emergency counts half a promotion from when it was asked for: what was so then was its right."""
    if entry.act.kind is not Kind.CANARY_PROMOTE or entry.at != entry.act.at:
        return before
    return before[: next(n for n, e in enumerate(before) if e.act.id == entry.act.id)]


def _canary_promoted(world, before, act, _):
    demand_accepted(world, before, act)
    assert trial(before) == act.version, f"{act.version} was not on trial"
    began = begun_by(before, act.version)
    assert act.by.request_id == began, f"{act.by.request_id} promoted what {began} tries"


def _forced(world, before, act, _):
    assert act.by.actor and act.by.reason
    assert not frozen(before)


def _by_person(world, before, act, wanted_previous):
    assert act.version in {a.version for a in served(before)}
    if act.by.request_id in wanted_previous:
        assert act.version not in condemned(before), f"previous went to {act.version}: the monitor took it down"
        assert act.version not in taken_down(before, ever=False), f"previous went forth, to {act.version}"


def _by_monitor(world, before, act, _):
    assert act.version in {a.version for a in served(before)}
    shunned = condemned(before) | taken_down(before, ever=False)
    assert act.version not in shunned, f"the monitor went to {act.version}, which is down"
    assert act.from_version not in condemned(before)
    assert not frozen(before)


_OF_KIND = {
    Kind.PROMOTE: _promoted,
    Kind.CANARY_PROMOTE: _canary_promoted,
    Kind.FORCED: _forced,
    Kind.ROLLBACK_MANUAL: _by_person,
    Kind.ROLLBACK_AUTO: _by_monitor,
}


def demand_harmless(before, entry, harm):
    """`harm` is, by replica in rotation, which canary it threw out by itself and how long the log was then."""
    if entry.phase is Phase.SERVED and entry.act.kind is Kind.CANARY_PROMOTE:
        for name, (version, at) in harm.items():
            seen = version == entry.act.version and at >= _began(before, version)
            assert not seen, f"{version} was promoted although {name} threw it out"


def demand_fair(verdict, trial, entries, harm):
    """Whoever judges ends no trial for what a replica said, unless one threw it out or somebody took it off."""
    if getattr(verdict, "decision", "") == "abort" and verdict.reason.startswith("replica-"):
        taken_off = any(isinstance(e.act, CanaryAbort) and e.act.version == trial for e in entries)
        never_began = any(isinstance(e.act, CanaryStart) and e.phase is Phase.FAILED for e in entries)
        assert taken_off or never_began or trial in {version for version, _ in harm.values()}, verdict.reason


def _began(entries, version):
    """The number of entries when the last trial of `version` had begun."""
    begun = (n for n, e in enumerate(entries, 1) if isinstance(e.act, CanaryStart) and e.phase is Phase.NOTED)
    return max((n for n in begun if entries[n - 1].act.version == version), default=0)


def came_true(entries, request):
    """Whether what is asked for was done for this very request before: whoever asks again has to hear so."""
    kinds = {
        "promote": ChampionChange,
        "promote canary": ChampionChange,
        "force": ChampionChange,
        "roll back": ChampionChange,
        "clear freeze": FreezeCleared,
        "abort canary": CanaryAbort,
        "restore": Restore,
    }
    if request.kind == "retire":
        return True  # whatever there is to archive, nothing of it is refused
    done = {e.act.id for e in entries if e.phase in {Phase.SERVED, Phase.NOTED}}
    acts = [e.act for e in entries if isinstance(e.act, kinds.get(request.kind, ()))]
    asked = [act for act in acts if act.by.request_id == request.id and act.id in done]
    # A person names a run where there is no version yet, and `previous` where they know none.
    return any(act.version == request.of or not request.of.startswith("v") for act in asked)


def demand_no_refusal(entries, request, answer):
    """`entries` as they were when it was asked."""
    refused = isinstance(answer, GiveUp) and not isinstance(answer, RegistryBehind)
    assert not (refused and came_true(entries, request)), f"{request} was done before, and hears now: {answer}"


# Of the whole


def demand_one_effect_a_request(entries):
    for kind in (ChampionChange, CanaryStart):
        acts = [e.act for e in entries if e.phase in {Phase.SERVED, Phase.NOTED} and isinstance(e.act, kind)]
        for request, count in Counter(a.by.request_id for a in acts).items():
            assert count == 1, f"{request} had {count} effects"


def demand_events_for_effects(world, entries):
    """Exactly one of each kind for each effect, and none for what did not happen."""
    changes = served(entries)
    everywhere = [c for c in changes if _everywhere(entries, c)]
    expected = Counter(
        ModelDeployedEvent=sum(c.kind not in ROLLBACKS for c in everywhere),
        CanaryPromotedEvent=sum(c.kind is Kind.CANARY_PROMOTE for c in everywhere),
        ModelRolledBackEvent=sum(c.kind in ROLLBACKS for c in changes),
        CanaryStartedEvent=len(noted(entries, CanaryStart)),
        CanaryAbortedEvent=len(noted(entries, CanaryAbort)),
    )
    told = Counter(event.type for event in world.outbox.pending())
    assert {k: told[k] for k in expected} == dict(expected)


def _everywhere(entries, change):
    """Whether no replica was missing from it, or the last one came."""
    phases = [e.phase for e in entries if e.act.id == change.id]
    return Phase.INCOMPLETE not in phases or Phase.COMPLETED in phases


def demand_overrides_follow(world, entries, runs):
    """A person's force is kept beside the verdict of what it made serve, and of nothing else."""
    forced = {world.versions.get(LAUNDRY, a.version).run_id for a in served(entries) if a.kind is Kind.FORCED}
    for run in runs:
        said = world.blessings.of_run(run).override
        assert said is not None or run not in forced, f"{run} was forced and nothing says so"
        assert said is None or said.kind is not OverrideKind.FORCED or run in forced, f"{run} never served by force"


def demand_rows_follow(world, entries):
    rows = {v.version: v.status for v in world.versions.all(LAUNDRY)}
    active = [v for v, status in rows.items() if status is Status.ACTIVE]
    assert active == [v for v in (champion(entries),) if v], f"ACTIVE is {active}, the log says {champion(entries)}"
    assert [v for v, s in rows.items() if s is Status.CANARY] == [v for v in (trial(entries),) if v]
    gone = archived(entries) - {champion(entries), trial(entries)}
    assert {v for v, s in rows.items() if s is Status.ARCHIVED} == gone


def registry_is_behind(entries):
    """Whether somebody has to tell it what the last change made champion."""
    ends = [e.phase for e in entries if e.phase in {Phase.SERVED, Phase.MIRRORED}]
    return ends[-1:] == [Phase.SERVED]


def demand_that_the_log_knows_the_registry(world, entries):
    """Where the registry names another version, the log says so, whatever struck in between."""
    if champion(entries) is not None and not registry_is_behind(entries):
        named = world.registry.aliases[LAUNDRY]
        assert named["champion"] == champion(entries), f"the registry names {named}, by the log it is told"
        assert named.get("previous") == world.ledger.previous


def demand_files(world):
    """At hand, or in the archive: whole."""
    for row in world.versions.all(LAUNDRY):
        if row.status is Status.ARCHIVED:
            place, uri = world.archive.objects, archive_uri(ARCHIVE, row.artifact)
        else:
            place, uri = world.objects.bodies, row.artifact.uri
        assert is_whole(place, uri, row.artifact), f"{row.version} is {row.status} without its files"


def demand_that_nobody_stays_misled(world, entries, misled):
    """Who began with an empty disk while the registry was behind serves the champion before the log says that it is
    not; `misled` are those that have not.
    """
    ledger = world.ledger
    if registry_is_behind(entries) or ledger.unsettled or ledger.incomplete is not None:
        return misled
    for name in misled - world.fleet.out - world.fleet.down - world.fleet.hung:
        active = world.fleet.replicas[name].active
        assert active is not None and active.version == champion(entries), f"{name} serves {active} since it began"
    return set()


def demand_rightful_replicas(world, entries, astray):
    """`astray` came back with something else, and nobody reconciled since."""
    ledger = world.ledger
    excused = bool(ledger.unsettled) or ledger.incomplete is not None
    asked = {a: {e.act.version for e in entries if isinstance(e.act, a)} for a in (ChampionChange, CanaryStart)}
    for name, replica in world.fleet.replicas.items():
        if name in world.fleet.out | world.fleet.down | world.fleet.hung:
            continue
        serves, tries = (one.version if one else None for one in (replica.active, replica.canary))
        assert serves is None or serves in asked[ChampionChange], f"{name} serves {serves}, which nobody asked for"
        assert tries is None or tries in asked[CanaryStart], f"{name} tries {tries}, which nobody asked for"
        if not excused and name not in astray:
            assert serves == champion(entries), f"{name} serves {serves}, the log says {champion(entries)}"
            assert tries in {None, trial(entries)}, f"{name} tries {tries}, by the log it is {trial(entries)}"


def demand_one_story(world, entries):
    """After reconciling with everything up: log, rows, registry and replicas agree and nothing is open."""
    ledger = world.ledger
    assert ledger.unsettled == () and ledger.incomplete is None and not ledger.registry_is_behind
    assert set(world.serving().values()) == {champion(entries)}
    assert set(s.version for s in world.fleet.canaries(LAUNDRY) if s.running) <= {trial(entries)}
    if champion(entries) is not None:
        aliases = world.registry.aliases[LAUNDRY]
        assert aliases["champion"] == champion(entries)
        assert aliases.get("previous") == ledger.previous
