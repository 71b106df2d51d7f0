"""The door for pages about the models: it opens one read-only connection a question, and changes nothing."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Self

from pipeline.bootstrap import dashboard_answers as answers
from pipeline.bootstrap.kinds import OF_HELPER_TASKS, model_types
from pipeline.bootstrap.live_wiring import LiveWiring
from pipeline.bootstrap.peoples_words import administrators_only
from pipeline.bootstrap.settings_at_start import Ask, asked, nobody
from pipeline.bootstrap.sights import sight_of
from pipeline.bootstrap.watches import watched
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.live_accuracy import Period
from pipeline.domain.worth import worth
from pipeline.settings import Settings
from pipeline.steps.oversee import oversee
from pipeline.steps.oversee_canary import oversee_canary
from pipeline.steps.prove import prove

MOST_DAYS = 90
PAGE_VERSIONS = 20
_MOST_POINTS = 700
_SHOWN_LETTERS = 50
_MOST_VOICES = 30


class Dashboard:
    """Answers are plain values that travel as JSON. All raise `ServiceUnavailable` with a sentence."""

    def __init__(self, wiring: Wiring, live: LiveWiring) -> None:
        self._w = wiring
        self._live = live

    @classmethod
    def from_env(cls, ask: Ask = nobody) -> Self:
        """As `Pipeline.from_env`."""
        wiring = Wiring(Settings(asked(ask)))
        return cls(wiring, LiveWiring(wiring))

    def may_not_administer(self, actor: str, of_airflow: Sequence[str] | None) -> str | None:
        """Why a person may not do what is an administrator's; None for one."""
        return administrators_only(self._w.settings.administrators, of_airflow, actor)

    def overview(self, model_type: str) -> dict[str, Any]:
        """Who serves, how well, what may be done about it, and what stands between now and the next retraining."""
        kind, s = watched(model_type), self._w.settings
        sight = sight_of(kind)
        with self._live.one_moment() as overseeing:
            seen = oversee(overseeing, kind, sight.said(overseeing))
            rates = sight.rates(overseeing, s)
        told = answers.of_overview(seen, sight.retraining(s), s.live)
        # Of another type nothing is tried beside the champion, forced or set aside.
        return {**told, "rates": rates, "complete": model_type in model_types()}

    def sightings(self, model_type: str, days: int) -> dict[str, Any]:
        """The monitor's looks and the changes of champion of the last `days`, 1 to `MOST_DAYS`."""
        kind = watched(model_type)
        with self._live.one_moment() as overseeing:
            now = overseeing.clock.now()
            period = Period(now - timedelta(days=days), now)
            found = sight_of(kind).looks(overseeing, kind, period, _MOST_POINTS)
            ledger = overseeing.transitions.ledger(kind)
        return answers.of_sightings(found, ledger, period)

    def judged(self, model_type: str, skip: int) -> dict[str, Any]:
        """Models with their verdicts, newest first, `PAGE_VERSIONS` at a time."""
        kind = watched(model_type)
        with self._live.one_moment() as overseeing:
            page = overseeing.sightings.page(kind, most=PAGE_VERSIONS, skip=skip)
            ledger = overseeing.transitions.ledger(kind)
        return answers.of_page(page, ledger, self._w.objects)

    def proof(self, model_type: str, version: str) -> bytes:
        """A ZIP of all that is known of a version. Raises `UnknownVersion`."""
        return prove(self._live.proving, watched(model_type), version)

    def replicas(self, model_type: str) -> dict[str, Any]:
        """What each replica says it serves now; one that does not answer says why."""
        fleet = self._w.fleet
        return answers.of_replicas(fleet.serving(watched(model_type)), fleet.skipped())

    def canary(self, model_type: str) -> dict[str, Any] | None:
        """The trial that runs, with its evidence so far; None without one."""
        kind, policy = watched(model_type), self._live.canary_policy
        with self._live.one_moment() as overseeing:
            seen = oversee_canary(overseeing, kind, policy)
        return answers.of_trial(seen, policy) if seen else None

    def voices(self, model_type: str) -> list[dict[str, Any]]:
        """Whose corrections somebody may want to set aside: versions by their time, reviewers, branches."""
        kind = watched(model_type)
        if kind is not OF_HELPER_TASKS:
            return []
        with self._live.one_moment() as overseeing:
            now = overseeing.clock.now()
            period = Period(now - timedelta(days=MOST_DAYS), now)
            ledger = overseeing.transitions.ledger(kind)
            return answers.of_voices(overseeing.sightings.voices(ledger, period, most=_MOST_VOICES))

    def worth(self, model_type: str) -> dict[str, Any]:
        """What each version that served is worth to branch managers, by its name."""
        kind = watched(model_type)
        if kind is not OF_HELPER_TASKS:
            return {}
        with self._live.one_moment() as o:
            return {one.version: asdict(one) for one in worth(o.transitions.ledger(kind), o.sightings.reviews())}

    def waiting_letters(self) -> int:
        """How many messages could not be used; open pages ask again and again, so the queue itself is left alone."""
        return self._w.dead_letters.waiting()

    def dead_letters(self) -> list[dict[str, Any]]:
        """Some of the messages that could not be used; each is taken from the queue and put back, so only for people
        who want to see them.
        """
        return answers.of_letters(self._w.dead_letters.oldest(_SHOWN_LETTERS))
