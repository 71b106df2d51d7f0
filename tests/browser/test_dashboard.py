"""People look at the dashboard, and roll back in two clicks."""

import copy
import random
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Backlog, RetrainingDecision
from pipeline.ports.events import Message
from tests.browser.accessibility import serious_faults
from tests.browser.airflow_stand_in import AirflowStandIn, listening
from tests.browser.visiting import AT_A_DESK, ON_A_PHONE, Person
from tests.builders import a_blessing, a_face_confirmation, an_event
from tests.dags.folder import DAGS
from tests.unit.pipeline.steps.live_world import World
from tests.waiting import until

SCRIPT = '<img src=x onerror="parent.hacked=1"><script>parent.hacked=1</script>'


@pytest.fixture
def airflow():
    """Three versions served, the last one for a week; one was refused, and one waits."""
    world = World().live("first", "second", "third")
    world.accept("weak", against=world.champion(), accepted=False)
    world.candidate("better")
    for hour in range(12):
        world.confirm(93 - hour, 7)
        world.later(hours=12)
        world.watch()
    world.confirmations.waiting = Backlog(57, 57, world.clock.now() - timedelta(days=3))
    return AirflowStandIn(world)


@pytest.fixture
def look(airflow, visit):
    """`look(person)` → the window and the dashboard in its frame, once everything is shown."""
    with listening(airflow.app) as url:

        def look_at(person=AT_A_DESK, expected=()):
            seen = visit(url, person, expected=expected)
            seen.page.goto("/plugin/models")
            return seen, seen.page.frame_locator("iframe")

        yield look_at


def text(page, selector):
    return re.sub(r"\s+", " ", page.locator(selector).inner_text())


def wait_for(page, selector, said):
    page.locator(selector).filter(has_text=said).wait_for()


def test_a_person_sees_what_serves_how_well_and_why_nothing_is_retrained(airflow, look):
    answer = RetrainingDecision(False, "too_few", "57 corrections, 100 needed", airflow.world.confirmations.waiting)
    decisions = airflow.overlooked.sightings.decisions
    decisions.record(ModelType.LAUNDRY, answer, at=airflow.world.clock.now(), asked_by="task_confirmed_intake")
    everything_is_published(airflow)
    seen, page = look()
    wait_for(page, "#models-table", "v1.3.0 candidate")
    assert "v1.2.0 since" in text(page, "#serving-now")
    assert text(page, "#serving-replicas") == "Replicas replica-1: v1.2.0 replica-2: v1.2.0"
    assert re.search(r"v1\.2\.0 9\d\.\d % good", text(page, "#accuracy-now"))
    assert page.locator("#accuracy-chart canvas").is_visible()
    for said in ("57 of 100 corrections", "3 of 7 days", "not yet 57 corrections, 100 needed"):
        assert said in text(page, "#retraining")
    assert "Nothing is known to be wrong." in text(page, "#operations")
    seen.keep("dashboard at a desk")


def everything_is_published(airflow):
    outbox = airflow.world.outbox
    for event in outbox.pending():
        outbox.mark_published(event.id)


@pytest.mark.parametrize("waits", ["events", "letters"])
def test_all_is_well_is_not_said_beside_what_waits(airflow, look, waits):
    if waits == "letters":
        everything_is_published(airflow)
        airflow.overlooked.letters.queue.dead.append((Message(b"{", "message-1", 0), "not JSON"))
    _, page = look()
    wait_for(page, "#operations-now", {"events": "Events wait in the outbox", "letters": "could not be used: 1"}[waits])
    assert "Nothing is known to be wrong" not in text(page, "#operations")


AN_ACT = {"kind": "rollback_auto", "version": "v1.1.0", "before": "v1.2.0", "actor": "monitor", "reason": "too low"}
SOMETHING_WRONG = {
    "freeze": {**AN_ACT, "id": "act-1"},
    "missing": "replica-2 does not answer",
    "failed_rollback": {**AN_ACT, "at": "2026-05-04T12:00:00+00:00", "detail": "no replica answered"},
    "registry_is_behind": True,
    "troubles": ["backup: no copy was made"],
}


def answers_with(seen, pattern, /, **fields):
    """From now on these answers say something else of `fields`."""
    seen.page.route(pattern, lambda route: route.fulfill(json={**route.fetch().json(), **fields}))


@pytest.mark.parametrize("name", SOMETHING_WRONG)
def test_what_the_records_know_to_be_wrong_is_on_airflows_home_and_all_is_well_is_not_said(airflow, look, name):
    everything_is_published(airflow)
    seen, page = look()
    wait_for(page, "#operations-now", "Nothing is known to be wrong.")
    answers_with(seen, "**/api/overview*LAUNDRY", **{name: SOMETHING_WRONG[name]})
    page.locator("#operations-now").filter(has_not_text="Nothing is known to be wrong.").wait_for()
    seen.page.goto("/home")
    line = seen.page.locator("#models-strip > div").filter(has_text="LAUNDRY")
    line.wait_for()
    # Type, version, accuracy and the next retraining; then what is wrong.
    assert line.locator("> span").count() == 5


@pytest.mark.parametrize("state", ["low", "failing"])
def test_all_is_well_is_not_said_beside_a_model_that_is_not(airflow, look, state):
    everything_is_published(airflow)
    seen, page = look()
    wait_for(page, "#operations-now", "Nothing is known to be wrong.")
    answer = seen.page.evaluate("fetch('/model-dashboard/api/overview?model_type=LAUNDRY').then((one) => one.json())")
    answers_with(seen, "**/api/overview*LAUNDRY", seen={**answer["seen"], "state": state})
    page.locator("#operations-now").filter(has_not_text="Nothing is known to be wrong.").wait_for()
    # What was seen of the version before says nothing of the one that serves.
    answers_with(seen, "**/api/overview*LAUNDRY", seen={**answer["seen"], "state": state, "version": "v1.1.0"})
    wait_for(page, "#operations-now", "Nothing is known to be wrong.")


@pytest.mark.parametrize("fault", ["unreachable", "another version", "all away"])
def test_all_is_well_is_not_said_beside_a_replica_that_is_not(airflow, look, fault):
    everything_is_published(airflow)
    seen, page = look()
    wait_for(page, "#operations-now", "Nothing is known to be wrong.")
    one = {"replica": "replica-1", "version": "v1.2.0", "fault": ""}
    other = {"unreachable": {"fault": "no answer"}, "another version": {"version": "v1.1.0"}}.get(fault, {})
    of_all = {"fault": "no replica is known"} if fault == "all away" else {}
    answers_with(seen, "**/api/replicas*", replicas=[one, {**one, "replica": "replica-2", **other}], **of_all)
    page.locator("#operations-now").filter(has_not_text="Nothing is known to be wrong.").wait_for()


def test_all_is_well_is_not_said_before_airflow_was_asked_nor_of_a_dag_that_it_does_not_know(airflow, look):
    everything_is_published(airflow)
    seen, page = look(expected=["404"])
    held = []

    def keep(route):
        held.append(route)

    seen.page.route("**/api/v2/dags/backup", keep)
    seen.page.reload()
    wait_for(page, "#operations-now", "Every event is published.")
    until(lambda: held, "Airflow to be asked")
    assert "Nothing is known to be wrong" not in text(page, "#operations-now")
    held[0].fulfill(status=404, json={"detail": "not found"})
    wait_for(page, "#operations-now", "Airflow does not know backup now.")
    assert "Nothing is known to be wrong" not in text(page, "#operations-now")


def test_an_operator_rolls_back_in_two_clicks_and_sees_every_replica_change(airflow, look):
    airflow.role, airflow.fleet.late = "op", {"replica-2": "v1.2.0"}
    seen, page = look()
    page.get_by_role("button", name="Roll back…").click()
    page.get_by_label("Reason (kept for ever)").fill("너무 엄격함")
    seen.keep("dashboard before the second click")
    page.get_by_role("button", name="Roll back to v1.1.0 on every replica").click()
    wait_for(page, "#serving-panel", "Waiting for replica-2")
    assert "replica-1: v1.1.0 replica-2: v1.2.0" in text(page, "#serving-panel")
    seen.keep("dashboard while replicas change")
    airflow.fleet.late = {}
    wait_for(page, "#serving-panel", "Every replica serves v1.1.0")
    seen.keep("dashboard after a rollback")
    [run] = airflow.runs.values()
    assert run["asked"]["conf"] == {"target": "v1.1.0", "model_type": "LAUNDRY", "reason": "너무 엄격함"}
    assert run["asked"]["note"] == "너무 엄격함"
    assert airflow.world.champion() == "v1.1.0"


def test_who_asks_for_the_same_rollback_sees_the_one_that_runs(airflow, look):
    airflow.fleet.late = {"replica-2": "v1.2.0"}
    pages = [look(expected=["409"])[1] for _ in range(2)]
    for page in pages:
        page.get_by_role("button", name="Roll back…").click()
        page.get_by_label("Reason (kept for ever)").fill("too strict")
    for page in pages:
        page.get_by_role("button", name="Roll back to v1.1.0 on every replica").click()
    # Who comes second is told so, whichever window that is.
    told = [page.locator("#serving-panel").filter(has_text="eng asked for this already") for page in pages]
    until(lambda: sum(one.count() for one in told) == 1, "the second one to be told")
    assert len(airflow.runs) == 1 and airflow.world.champion() == "v1.1.0"


def test_a_rollback_that_failed_says_so_and_may_be_asked_for_again(airflow, look):
    no = "nothing was changed: v1.1.0 was taken down. Next: choose another version"
    _, page = look(expected=["409"])
    for fails, said in ((no, no), (None, "Every replica serves v1.1.0")):
        airflow.fails = fails
        page.get_by_role("button", name="Roll back…").click()
        page.get_by_label("Reason (kept for ever)").fill("too strict")
        page.get_by_role("button", name="Roll back to v1.1.0 on every replica").click()
        wait_for(page, "#serving-panel", said)
        # The own reason is no news.
        assert "too strict" not in text(page, "#serving-panel")
        page.get_by_role("button", name="Close").click()
    first, second = airflow.runs
    assert second == f"{first}~2"


def a_face_version_waits_where_the_laundry_one_does(airflow):
    """FACE serves v1.2.0, and v1.3.0 is accepted; its history is as long as that of LAUNDRY."""
    world = airflow.world
    airflow.overlooked.face_serves("v1.2.0")
    ledger = world.transitions.ledger
    while ledger(ModelType.FACE).position < ledger(ModelType.LAUNDRY).position:
        airflow.overlooked.face_serves("v1.2.0")
    named = {"model_type": ModelType.FACE, "version": "v1.3.0", "run_id": "faces-3"}
    world.versions.rows[ModelType.FACE, "v1.3.0"] = replace(world.versions.rows[ModelType.LAUNDRY, "v1.3.0"], **named)
    world.blessings.granted["faces-3"] = a_blessing("faces-3", model_type=ModelType.FACE, champion_version="v1.2.0")


def test_what_is_asked_about_one_model_type_is_not_answered_by_a_run_for_another(airflow, look):
    a_face_version_waits_where_the_laundry_one_does(airflow)
    _, page = look()
    for kind in ("LAUNDRY", "FACE"):
        page.get_by_role("button", name=kind).click()
        page.get_by_role("button", name="Details of v1.3.0").click()
        decide(page, "Promote…", "Everybody gets v1.3.0")
        wait_for(page, "#models-panel", "Open the run")
    assert [run["conf"]["model_type"] for run in airflow.runs.values()] == ["LAUNDRY", "FACE"]


def test_of_one_model_type_no_row_is_shown_under_the_name_of_another(airflow, look):
    seen, page = look()
    page.get_by_role("button", name="Details of v1.3.0").wait_for()
    # The rows of the other one take their time.
    seen.page.route("**/judged?model_type=FACE**", lambda route: None)
    page.get_by_role("button", name="FACE").click()
    wait_for(page, "#serving-now", "No model serves yet")
    assert page.get_by_role("button", name="Details of v1.3.0").count() == 0


def test_a_run_that_has_the_name_but_was_asked_for_something_else_is_no_answer(airflow, look):
    _, page = look(expected=["409"])
    page.get_by_role("button", name="Details of v1.3.0").click()
    decide(page, "Promote…", "Everybody gets v1.3.0")
    wait_for(page, "#models-panel", "Open the run")
    [other] = airflow.runs.values()
    # As if its name had been shortened, or given by somebody else.
    other |= {"conf": {**other["conf"], "model_type": "FACE"}, "state": "success"}
    wait_for(page, "#models-panel", "Done.")
    page.get_by_role("button", name="Close").click()
    decide(page, "Promote…", "Everybody gets v1.3.0")
    wait_for(page, "#models-panel", "Asked for; Airflow begins")
    wait_for(page, "#models-panel", "Open the run")
    assert [run["conf"]["model_type"] for run in airflow.runs.values()] == ["FACE", "LAUNDRY"]


def test_a_run_goes_on_of_the_model_type_it_was_approved_for_whatever_is_looked_at_meanwhile(airflow, look):
    world = airflow.world
    world.accept("held", against="v1.2.0", accepted=False)
    world.blessings.granted["held"] = replace(world.blessings.granted["held"], held=True)
    airflow.retrainings, airflow.decided = ["held"], "running"
    _, page = look()
    page.get_by_role("button", name="Details of held").click()
    decide(page, "Approve…", "Let held go on")
    wait_for(page, "#models-panel", "Open the run")
    page.get_by_role("button", name="FACE").click()
    [run] = airflow.runs.values()
    run["state"] = "success"
    until(lambda: airflow.cleared, "the run to go on")
    assert airflow.cleared == [("laundry_model_retraining", "held", ["decide"])]


def begin_rollback(page):
    page.get_by_role("button", name="Roll back…").click()
    page.get_by_label("Reason (kept for ever)").fill("too strict")
    page.get_by_role("button", name="Roll back to v1.1.0 on every replica").click()


def test_whoever_somebody_else_came_before_is_told_that_it_ended_otherwise(airflow, look):
    airflow.fleet.late = {"replica-2": "v1.2.0"}
    _, page = look()
    begin_rollback(page)
    wait_for(page, "#serving-panel", "Waiting for replica-2")
    [run] = airflow.runs.values()
    run["state"] = "success"
    wait_for(page, "#serving-panel", "something else serves: somebody changed it meanwhile")


def test_who_is_signed_out_while_a_rollback_runs_is_told_that_it_goes_on(airflow, look):
    airflow.fleet.late = {"replica-2": "v1.2.0"}
    seen, page = look(expected=["401"])
    begin_rollback(page)
    wait_for(page, "#serving-panel", "Waiting for replica-2")
    airflow.signed_out = True
    wait_for(page, "#serving-panel", "goes on; this page can no longer follow it: Token Expired")
    page.get_by_role("button", name="Sign in again").wait_for()
    seen.keep("dashboard of a session that expired during a rollback")


def test_a_dag_that_was_paused_after_the_page_was_opened_is_named_after_the_click(airflow, look):
    _, page = look()
    page.get_by_role("button", name="Roll back…").click()
    page.get_by_label("Reason (kept for ever)").fill("too strict")
    airflow.paused = {"model_rollback"}
    page.get_by_role("button", name="Roll back to v1.1.0 on every replica").click()
    wait_for(page, "#serving-panel", "model_rollback is paused")


def test_who_signs_in_as_somebody_else_in_another_window_sees_what_that_person_may(airflow, look):
    seen, page = look()
    page.get_by_role("button", name="Roll back…").wait_for()
    airflow.role = "viewer"
    # As after each act, and every half minute.
    seen.page.frames[1].evaluate("document.dispatchEvent(new Event('acted'))")
    page.get_by_role("button", name="Roll back…").wait_for(state="detached")


def test_a_viewer_is_told_who_can(airflow, look):
    airflow.role = "viewer"
    seen, page = look()
    wait_for(page, "#serving-acts", "Your role may not start model_rollback")
    assert page.get_by_role("button", name=re.compile("Roll back|Retrain|Promote")).count() == 0
    seen.keep("dashboard of a viewer")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [("paused", "model_rollback is paused and would wait without end"), ("ill", "Airflow's scheduler does not work")],
)
def test_a_button_that_cannot_work_says_why(airflow, look, trouble, said):
    getattr(airflow, trouble).add({"paused": "model_rollback", "ill": "scheduler"}[trouble])
    seen, page = look()
    wait_for(page, "#serving-acts", said)
    assert page.get_by_role("button", name="Roll back…").count() == 0
    assert "Nothing is known to be wrong" not in text(page, "#operations")
    seen.keep(f"dashboard {trouble}")


def test_an_expired_session_says_so_and_leads_to_the_login(airflow, look):
    seen, page = look(expected=["401", "404"])
    wait_for(page, "#serving-now", "v1.2.0")
    airflow.signed_out = True
    button = page.get_by_role("button", name="Sign in again")
    button.wait_for()
    seen.keep("dashboard of an expired session")
    assert "v1.2.0" in text(page, "#serving-now")
    button.click()
    seen.page.wait_for_url("**/auth/login?next=*")


def test_a_database_that_is_away_is_a_sentence_and_comes_back(airflow, look):
    airflow.away = ServiceUnavailable("the mlops database", "connection refused")
    seen, page = look(expected=["503"])
    wait_for(page, "#notices", "the mlops database is unavailable: connection refused")
    seen.keep("dashboard without its database")
    airflow.away = None
    wait_for(page, "#serving-now", "v1.2.0")
    assert text(page, "#notices") == ""


@pytest.mark.parametrize("whose", ["model-dashboard/api", "api/v2"])
def test_answers_that_break_off_are_a_sentence_and_what_was_known_stays(look, whose):
    seen, page = look()
    wait_for(page, "#serving-now", "v1.2.0")
    with seen.half_answers(f"**/{whose}/**") as asked:
        wait_for(page, "#notices", "answer broke off")
        assert "v1.2.0" in text(page, "#serving-now")
    assert asked
    page.locator("#notices:empty").wait_for(state="attached")


@pytest.mark.parametrize(
    ("person", "language", "light"),
    [(ON_A_PHONE, "ko", "light"), (AT_A_DESK, "ko", "dark"), (ON_A_PHONE, "en", "dark")],
)
def test_it_fits_a_phone_and_follows_airflows_language_and_light(airflow, look, person, language, light):
    airflow.language, airflow.light = language, light
    seen, page = look(person)
    wait_for(page, "#serving-acts", "롤백…" if language == "ko" else "Roll back…")
    wait_for(page, "#models-table", "v1.3.0")
    frame = seen.page.frames[1]
    assert frame.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
    brightness = frame.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(brightness) < 100) == (light == "dark")
    seen.keep(f"dashboard {person.width_pixels} {language} {light}")


# Where each word of a chart stands, of changes that happened at `hours` before now.
DRAW = """async ([path, width, bars, marks]) => {
  const { draw, ofAccuracy, ofRates } = await import(path);
  const place = document.createElement("div");
  place.className = "chart";
  place.style.width = `${width}px`;
  document.body.append(place);
  const ago = (hours) => new Date(Date.UTC(2026, 4, 10) - hours * 3600000).toISOString();
  const rate = { share: 0.03, low: 0.01, high: 0.06, people: 40 };
  const accuracy = { accuracy: 0.93, low: 0.9, high: 0.95, blind_confirmed: 0, blind_agreed: 0 };
  const look = { at: ago(1), state: "ok", ...accuracy, refused: rate, accepted: rate };
  const told = marks.map(([hours, kind, version]) => ({ at: ago(hours), kind, version }));
  const shape = bars.refused ? ofRates(bars, 30) : ofAccuracy(bars);
  const chart = draw(place, { since: ago(168), until: ago(0), looks: [look], marks: told }, shape, 7);
  await new Promise((done) => setTimeout(done));
  const box = (one) => {
    const { left, top, right, bottom } = one.getBoundingClientRect();
    return [one.textContent, left, top, right, bottom];
  };
  const found = [box(place), ...[...place.querySelectorAll(".label")].map(box)];
  place.remove();
  return found;
}"""


FIGURES = """async ([path, asked]) => {
  const figures = await import(path);
  return asked.map(([name, ...values]) => figures[name](...values));
}"""


def figures_of(frame, *asked):
    path = frame.evaluate("document.querySelector('script[type=module]').src.replace('main.js', 'figures.js')")
    return frame.evaluate(FIGURES, [path, asked])


def test_a_figure_is_rounded_neither_onto_nor_over_what_it_is_compared_with(look):
    seen, page = look()
    wait_for(page, "#serving-now", "v1.2.0")
    said = {
        "84.96 %": ("percent", 0.8496, [0.85, 0.8]),
        "85.0 %": ("percent", 0.85, [0.85, 0.8]),
        "85.04 %": ("percent", 0.8504, [0.85, 0.8]),
        "84.9 %": ("percent", 0.8491, [0.85, 0.8]),
        "29.0 %": ("percent", 0.29, [0.29]),
        "99.96 %": ("percent", 0.9996),
        "100.0 %": ("percent", 1),
        "0.04 %": ("percent", 0.0004),
        "0.0 %": ("percent", 0),
        "–": ("percent", None),
        "0.5 %": ("exactPercent", 0.005),
        "0.4 %": ("exactPercent", 0.004),
        "85 %": ("exactPercent", 0.85),
        "-0.4": ("count", -0.4),
        "0.3": ("count", 0.3),
        "0": ("count", 0),
        "-12": ("count", -12.4),
        "59.98 min": ("duration", 3599),
        "59.7 s": ("duration", 59.7),
        "-0.2 s": ("duration", -0.2),
        "1.5 h": ("duration", 5400),
    }
    assert figures_of(seen.page.frames[1], *said.values()) == list(said)


@pytest.mark.parametrize("place", ["page", "home"])
def test_an_accuracy_just_below_its_bar_is_not_shown_to_reach_it(airflow, look, place):
    seen, page = look()
    overview = "fetch('/model-dashboard/api/overview?model_type=LAUNDRY').then((one) => one.json())"
    told = seen.page.evaluate(overview)["seen"]
    answers_with(seen, "**/api/overview*LAUNDRY", seen={**told, "state": "low", "accuracy": 0.8496})
    if place == "home":
        seen.page.goto("/home")
        wait_for(seen.page, "#models-strip", "84.96 % low")
    else:
        wait_for(page, "#accuracy-now", "84.96 % low")


def test_a_bar_has_all_its_decimals(airflow, look):
    airflow.overlooked.face_serves()
    seen, page = look()
    overview = "fetch('/model-dashboard/api/overview?model_type=FACE').then((one) => one.json())"
    rates = seen.page.evaluate(overview)["rates"]
    accepted = {"alert": 0.004, "most": 0.005, "margin": 0.01}
    answers_with(seen, "**/api/overview*FACE", rates={**rates, "bars": {**rates["bars"], "accepted": accepted}})
    seen.page.goto("/plugin/models?model_type=FACE")
    wait_for(page, "#accuracy-now", "people are told above 0.4 %, it is taken down above 0.5 %")
    page.locator("#accuracy-chart canvas").wait_for()
    named = page.locator("#accuracy-chart .label").all_inner_texts()
    assert {"0.4 %", "0.5 %"} & {*named} and "0 %" not in named


def some_changes(dice):
    """Of seven days, oldest first: often several at nearly the same time, as after a bad night."""
    nights = [dice.uniform(0, 168) for _ in range(dice.randint(1, 6))]
    hours = sorted(min(168, max(0, dice.choice(nights) + dice.gauss(0, 2))) for _ in range(dice.randint(1, 40)))
    kinds = ["promote", "rollback_auto", "canary_start", "forced"]
    return [[h, dice.choice(kinds), f"v{dice.choice((1, 10))}.{n}.0"] for n, h in enumerate(reversed(hours))]


def words_of(frame, width, bars, marks):
    path = frame.evaluate("document.querySelector('script[type=module]').src.replace('main.js', 'chart.js')")
    return frame.evaluate(DRAW, [path, width, bars, marks])


def some_bars(dice, of_faces):
    if of_faces:
        alerts = dice.choice([(0.1, 0.02), (0.05, 0.05), (0.19, 0.049)])
        return {"refused": {"alert": alerts[0], "most": 0.2}, "accepted": {"alert": alerts[1], "most": 0.05}}
    return {"alert": dice.choice([0.85, 0.99, 0.81]), "rollback": 0.8}


@pytest.mark.parametrize("of_faces", [False, True], ids=["accuracy", "rates of faces"])
@pytest.mark.parametrize("width", [300, 1150])
def test_no_word_of_the_chart_lies_on_another_one(look, width, of_faces):
    seen, page = look()
    wait_for(page, "#serving-now", "v1.2.0")
    for seed in range(30):
        dice = random.Random(seed)
        bars = some_bars(dice, of_faces)
        _, left, top, right, bottom = (found := words_of(seen.page.frames[1], width, bars, some_changes(dice)))[0]
        assert len(found) > 2
        for n, (word, *one) in enumerate(found[1:], start=1):
            within = left <= one[0] and top <= one[1] and one[2] <= right and one[3] <= bottom
            assert within, f"{seed}: {word} sticks out"
            for other, *two in found[n + 1 :]:
                apart = one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]
                assert apart, f"{seed}: {word} on {other}"


def test_versions_that_followed_each_other_at_once_are_all_named_in_the_chart(look):
    seen, page = look()
    wait_for(page, "#accuracy-chart", "v1.2.0")
    assert page.locator("#accuracy-chart .label").all_inner_texts() == ["85 %", "80 %", "v1.0.0", "v1.1.0", "v1.2.0"]
    seen.keep("dashboard with its chart")
    bars = {"alert": 0.85, "rollback": 0.8}
    at_the_edge = [[167.9, "promote", "v1.0.0"], [0.1, "rollback_auto", "v1.0.0"]]
    named = [word for word, *_ in words_of(seen.page.frames[1], 300, bars, at_the_edge)[1:]]
    assert named == ["85 %", "80 %", "v1.0.0", "↩ v1.0.0"]


@pytest.mark.parametrize(("person", "language", "light"), [(AT_A_DESK, "en", "light"), (ON_A_PHONE, "ko", "dark")])
def test_nothing_on_the_page_is_out_of_reach_of_assistive_technology(airflow, look, person, language, light):
    freeze(airflow.world) if light == "light" else airflow.world.start("v1.3.0")
    airflow.paused, airflow.language, airflow.light = {"model_retention"}, language, light
    airflow.questions = [a_question("Roll LAUNDRY back to v1.1.0?")]
    airflow.overlooked.letters.queue.dead.append((Message(b"{", "message-1", 0), "not JSON"))
    seen, page = look(person)
    wait_for(page, "#operations-now", "1")
    page.locator("#operations-now .row button, #operations-now > button").last.click()
    page.locator("#model-weak").click()
    page.locator("#serving-acts button").first.click()
    page.locator("#accuracy-changes summary").click()
    page.locator("#models-table table.matrix").wait_for()
    page.locator("#operations-now li").wait_for()
    assert serious_faults(seen.page.frames[1]) == []


def test_everything_can_be_done_with_the_keyboard(airflow, look):
    seen, page = look()
    page.get_by_role("button", name="Roll back…").wait_for()
    keys = seen.page.keyboard

    def tab_to(said):
        for _ in range(40):
            keys.press("Tab")
            if said in seen.page.frames[1].evaluate("document.activeElement.textContent"):
                return
        pytest.fail(f"no key leads to {said}")

    tab_to("Roll back…")
    keys.press("Enter")
    keys.press("Tab")
    keys.type("too strict")
    keys.press("Enter")
    wait_for(page, "#serving-panel", "Every replica serves v1.1.0")


def test_what_people_wrote_is_text_whatever_it_says(airflow, look):
    world = airflow.world
    world.force("better", reason=SCRIPT)
    answer = RetrainingDecision(False, "too_few", SCRIPT, world.confirmations.waiting)
    airflow.overlooked.sightings.decisions.record(ModelType.LAUNDRY, answer, at=world.clock.now(), asked_by=SCRIPT)
    seen, page = look()
    wait_for(page, "#serving-now", "onerror")
    wait_for(page, "#retraining", "onerror")
    assert seen.page.evaluate("window.hacked === undefined")
    assert page.locator("main img").count() == 0


def test_however_long_peoples_names_and_words_are_nobody_scrolls_sideways(airflow, look):
    world, name = airflow.world, "W" * 240
    world.force("better", actor=name, reason="W" * 500)
    for number in range(2):
        extra = {"reviewerId": name, "branchId": f"B{name[1:]}"}
        world.confirmations.store([an_event(f"said-{number}", confirmed_at=world.clock.now(), extra=extra)])
    seen, page = look(ON_A_PHONE)
    page.locator("#accuracy-changes summary").click()
    page.get_by_role("button", name="Set aside corrections…").click()
    page.get_by_label("What people said").select_option(f"reviewer:{name}")
    page.get_by_label("Reason (kept for ever)").fill("W" * 500)
    page.get_by_role("button", name="Set aside what was said by reviewer").click()
    wait_for(page, "#retraining-now", f"by reviewer {name}: 2 corrections")
    wait_for(page, "#serving-panel", "Done.")
    assert seen.page.frames[1].evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
    seen.keep("dashboard of long names")


def test_a_dead_letter_that_comes_back_is_put_back_again(airflow, look):
    letters = airflow.overlooked.letters
    dead = (Message(b"{", "message-1", 0), "not JSON")
    for times in (1, 2):
        letters.queue.dead.append(dead)
        _, page = look()
        page.get_by_role("button", name="Show these messages").click()
        decide(page, "Put back…", re.compile("back into"), "in the log")
        wait_for(page, "#operations-panel", "Done.")
        assert (letters.queue.dead, len(letters.queue.waiting)) == ([], times)


def test_while_a_reason_is_written_other_rows_open_pages_turn_and_the_reason_stays(airflow, look):
    for number in range(25):
        airflow.world.accept(f"run-{number:02}", against="v1.2.0", accepted=False)
    airflow.world.candidate("newest")
    _, page = look()
    page.get_by_role("button", name="Details of v1.4.0").click()
    page.get_by_role("button", name="Promote…").click()
    page.get_by_label("Reason (kept for ever)").fill("looked into it")
    page.get_by_role("button", name="Details of run-").first.click()
    wait_for(page, "#models-table", "holdout_accuracy 0.7")
    page.get_by_role("button", name="Older").click()
    page.get_by_role("button", name="Newer").wait_for()
    assert page.get_by_label("Reason (kept for ever)").input_value() == "looked into it"
    page.get_by_role("button", name="Everybody gets v1.4.0").click()
    wait_for(page, "#models-panel", "Everybody gets v1.4.0")
    wait_for(page, "#models-panel", "Open the run")
    [run] = airflow.runs.values()
    assert run["conf"]["version"] == "v1.4.0"


def test_a_thousand_versions_come_twenty_at_a_time(airflow, look):
    for number in range(1000):
        airflow.world.accept(f"run-{number:04}", against="v1.2.0", accepted=False)
    _, page = look()
    wait_for(page, "#models-table", "refused")
    assert page.locator("#models-table tbody tr").count() == 20
    page.get_by_role("button", name="Older").click()
    page.get_by_role("button", name="Newer").wait_for()
    assert page.locator("#models-table tbody tr").count() == 20


def test_a_refused_model_says_why_with_its_figures(airflow, look):
    seen, page = look()
    page.get_by_role("button", name="Details of weak").click()
    wait_for(page, "#models-table", "holdout_accuracy 0.7, ≥ 0.88 needed")
    assert "양호 50 2 불량 3 45" in text(page, "#models-table table.matrix tbody")
    seen.keep("dashboard of a refused model")


def test_a_model_without_a_number_is_not_headed_by_a_verdict(airflow, look):
    world = airflow.world
    world.accept("held", against="v1.2.0", accepted=False)
    world.blessings.granted["held"] = replace(world.blessings.granted["held"], held=True)
    # Accepted, and not registered yet.
    world.accept("accepted", against="v1.2.0")
    _, page = look()
    for run, verdict in (("held", "waits for a person"), ("accepted", "accepted"), ("weak", "refused")):
        row = page.locator("#models-table tr").filter(has=page.locator(f"#model-{run}"))
        row.filter(has_text=verdict).wait_for()
        assert row.locator("td").first.inner_text() == "no number"


def test_why_a_version_cannot_be_promoted_is_no_verdict_that_nobody_gave(airflow, look):
    world = airflow.world
    held = world.versions.rows[ModelType.LAUNDRY, "v1.3.0"].run_id
    for blessing, why in (
        (replace(world.blessings.granted[held], accepted=False, held=True), "It waits for a person's"),
        (None, "There is no verdict on it."),
    ):
        world.blessings.granted.pop(held)
        if blessing:
            world.blessings.granted[held] = blessing
        _, page = look()
        page.get_by_role("button", name="Details of v1.3.0").click()
        wait_for(page, "#models-table", f"Promote: not possible. {why}")


def test_a_version_says_what_it_was_worth_with_intervals(airflow, look):
    world = airflow.world
    for version, wrong, took in (("v1.1.0", 60, 30), ("v1.2.0", 20, 12)):
        for n in range(200):
            extra = {"reviewSeconds": took + n % 5}
            world.confirmations.store(
                [an_event(f"{version}-{n}", corrected=n < wrong, model_version=version, extra=extra)]
            )
    seen, page = look()
    page.get_by_role("button", name="Details of v1.2.0").click()
    wait_for(page, "#models-table", "What it is worth")
    told = text(page, "#models-table")
    assert re.search(r"errors avoided: \d+ \(\d+ to \d+\)", told)
    assert re.search(r"review time saved: \d+\.\d h \(\d+\.\d h to \d+\.\d h\)", told)
    assert "had v1.1.0 gone on as before" in told
    seen.keep("dashboard of what a version is worth")


def decide(page, opener, confirm, kept="for ever"):
    page.get_by_role("button", name=opener).click()
    page.get_by_label(f"Reason (kept {kept})").fill("looked into it")
    page.get_by_role("button", name=confirm).click()


def asked(airflow):
    [run] = airflow.runs.values()
    return {name: run["asked"]["conf"][name] for name in ("act", "about")}


def test_a_canary_is_shown_with_its_evidence_and_aborted(airflow, look):
    world = airflow.world
    world.start("v1.3.0")
    world.confirm(9, 1, version="v1.3.0")
    seen, page = look()
    wait_for(page, "#canary-now", "waits for more")
    for said in ("v1.3.0 gets 10 % of the requests beside v1.2.0", "right: canary 9 of 10"):
        assert said in text(page, "#canary-now")
    seen.keep("dashboard with a canary")
    decide(page, "Abort…", "Take v1.3.0 out of the requests")
    wait_for(page, "#canary-panel", "Done.")
    assert asked(airflow) == {"act": "abort_canary", "about": "v1.3.0"} and world.trial() is None


def freeze(world):
    world.live("worst")
    world.confirm(50, 150)
    world.later(hours=2)
    world.automatic()


def test_a_freeze_says_why_forbids_promotions_and_is_cleared(airflow, look):
    world = airflow.world
    freeze(world)
    seen, page = look()
    wait_for(page, "#serving-now", "Promotions are frozen since v1.4.0 was taken down automatically")
    page.get_by_role("button", name="Details of v1.3.0").click()
    wait_for(page, "#models-table", "Promote: not possible. Promotions are frozen.")
    seen.keep("dashboard of a freeze")
    decide(page, "Clear the freeze…", "Promotions may go on")
    wait_for(page, "#serving-panel", "Done.")
    assert world.ledger.freeze is None
    page.get_by_role("button", name="Clear the freeze…").wait_for(state="detached")


def test_a_freeze_is_no_operators_to_clear(airflow, look):
    freeze(airflow.world)
    airflow.administrators, airflow.role = ("lee", "park"), "op"
    _, page = look()
    wait_for(page, "#serving-acts", "Clear the freeze: not possible. eng is no administrator: ask lee or park")
    assert page.get_by_role("button", name="Roll back…").count() == 1
    airflow.administrators = ("eng",)
    _, page = look()
    page.get_by_role("button", name="Clear the freeze…").wait_for()


def test_a_refused_model_is_forced_live_under_an_administrators_name(airflow, look):
    airflow.administrators = ("eng",)
    seen, page = look()
    page.get_by_role("button", name="Details of weak").click()
    page.get_by_role("button", name="Force…").click()
    wait_for(page, "#models-panel", "although verification did not accept it")
    seen.keep("dashboard before a model is forced live")
    page.get_by_label("Reason (kept for ever)").fill("sees the new uniforms")
    page.get_by_role("button", name="Everybody gets weak, whatever its verdict says").click()
    wait_for(page, "#models-panel", "Done.")
    assert asked(airflow) == {"act": "force_promote", "about": "weak"}
    assert airflow.world.versions.of_run("weak").version == airflow.world.champion()


def test_forcing_a_model_live_is_no_operators(airflow, look):
    airflow.administrators, airflow.role = ("lee", "park"), "op"
    _, page = look()
    page.get_by_role("button", name="Details of weak").click()
    wait_for(page, "#models-table", "Force: not possible. eng is no administrator: ask lee or park")
    assert page.get_by_role("button", name="Force…").count() == 0


def test_a_model_without_a_passed_load_test_cannot_even_be_forced(airflow, look):
    airflow.world.accept("slow", against="v1.2.0", accepted=False, mean_latency_ms=9_000)
    _, page = look()
    page.get_by_role("button", name="Details of slow").click()
    wait_for(page, "#models-table", "Force: not possible. mean_latency_ms 9000")


def test_a_model_that_waits_for_a_person_is_approved_and_its_run_goes_on(airflow, look):
    world = airflow.world
    world.accept("manual--2026-05-04T00-00-00-00-00", against="v1.2.0", accepted=False)
    held = world.blessings.granted["manual--2026-05-04T00-00-00-00-00"]
    world.blessings.granted[held.run_id] = replace(held, held=True)
    airflow.retrainings = ["another", "manual--2026-05-04T00:00:00+00:00"]
    _, page = look()
    page.get_by_role("button", name="Details of manual--").click()
    decide(page, "Approve…", "Let manual--2026-05-04T00-00-00-00-00 go on")
    wait_for(page, "#models-panel", "Its run goes on.")
    assert world.blessings.of_run(held.run_id).approved
    assert airflow.cleared == [("laundry_model_retraining", "manual--2026-05-04T00:00:00+00:00", ["decide"])]


def test_so_is_a_face_model_and_a_run_without_such_a_task_is_not_said_to_go_on(airflow, look):
    airflow.overlooked.face_serves()
    airflow.retrainings = runs = ["faces-1", "faces-2"]
    for run in runs:
        held = a_blessing(run, model_type=ModelType.FACE, accepted=False, held=True)
        airflow.world.blessings.granted[run] = held
    _, page = look()
    page.get_by_role("button", name="FACE").click()
    why = "its run does not go on: the run has no task decide"
    for run, tasks, said in zip(runs, ({"judge"}, {"decide"}), (why, "Its run goes on."), strict=True):
        airflow.tasks = tasks
        page.get_by_role("button", name=f"Details of {run}").click()
        decide(page, "Approve…", f"Let {run} go on")
        wait_for(page, "#models-panel", said)
        page.get_by_role("button", name="Close").click()
    assert airflow.cleared[-1] == ("face_model_retraining", "faces-2", ["decide"])


def test_a_model_that_waits_for_a_person_is_refused_with_the_reason(airflow, look):
    world = airflow.world
    world.accept("held", against="v1.2.0", accepted=False)
    world.blessings.granted["held"] = replace(world.blessings.granted["held"], held=True)
    _, page = look()
    page.get_by_role("button", name="Details of held").click()
    decide(page, "Refuse…", "held does not go live")
    wait_for(page, "#models-panel", "Done.")
    assert world.blessings.of_run("held").refused
    page.get_by_role("button", name="Close").click()
    wait_for(page, "#models-table", "refused by eng: looked into it")
    assert page.get_by_role("button", name=re.compile("Approve|Refuse")).count() == 0


@pytest.mark.parametrize(
    ("opener", "confirm", "act"), [("Put back…", "back into", "requeue"), ("Throw away…", "away for ever", "discard")]
)
def test_a_dead_letter_is_put_back_or_thrown_away(airflow, look, opener, confirm, act):
    letters = airflow.overlooked.letters
    letters.queue.dead.append((Message(b"{", "message-1", 0), f"not JSON {SCRIPT}"))
    [letter] = letters.all()
    seen, page = look()
    wait_for(page, "#operations-now", "Messages that could not be used: 1")
    page.get_by_role("button", name="Show these messages").click()
    wait_for(page, "#operations-now", "not JSON")
    seen.keep("dashboard with a dead letter")
    decide(page, opener, re.compile(confirm), "in the log")
    wait_for(page, "#operations-panel", "Done.")
    assert asked(airflow) == {"act": f"{act}_letter", "about": letter.id}
    assert (letters.queue.dead, len(letters.queue.waiting)) == ([], act == "requeue")
    wait_for(page, "#operations-now", "Messages that could not be used: 0")


@pytest.mark.parametrize(
    ("opener", "confirm", "rollout"),
    [
        ("Promote…", "Everybody gets v1.3.0", "full"),
        ("Start a canary…", "A share of the requests gets v1.3.0", "canary"),
    ],
)
def test_a_version_that_was_accepted_is_promoted_or_tried(airflow, look, opener, confirm, rollout):
    _, page = look()
    page.get_by_role("button", name="Details of v1.3.0").click()
    decide(page, opener, confirm)
    # There is a run to open once Airflow has answered.
    wait_for(page, "#models-panel", "Open the run")
    [run] = airflow.runs.values()
    assert run["asked"]["conf"] == {
        **{"version": "v1.3.0", "rollout": rollout, "model_type": "LAUNDRY", "reason": "looked into it"}
    }


def test_corrections_are_set_aside_beside_a_rollback_shown_and_taken_back(airflow, look):
    world = airflow.world
    for number in range(3):
        extra = {"reviewerId": SCRIPT if number else "kim"}
        world.confirmations.store([an_event(f"said-{number}", confirmed_at=world.clock.now(), extra=extra)])
    seen, page = look()
    page.get_by_role("button", name="Set aside corrections…").click()
    page.get_by_label("What people said").select_option(f"reviewer:{SCRIPT}")
    page.get_by_label("Reason (kept for ever)").fill("guessed")
    assert "nothing is deleted" in text(page, "#serving-panel")
    seen.keep("dashboard before corrections are set aside")
    page.get_by_role("button", name="Set aside what was said by reviewer").click()
    wait_for(page, "#retraining-now", f"by reviewer {SCRIPT}: 2 corrections")
    wait_for(page, "#serving-panel", "Done.")
    seen.keep("dashboard with corrections set aside")
    assert serious_faults(seen.page.frames[1]) == []
    decide(page, "Take back…", re.compile("Let later datasets take"))
    wait_for(page, "#retraining-panel", "Done.")
    page.get_by_role("heading", name="Set aside").wait_for(state="detached")
    assert [run["asked"]["conf"]["act"] for run in airflow.runs.values()] == ["withhold", "give_back"]


def test_a_retraining_is_asked_for(airflow, look):
    _, page = look()
    decide(page, "Retrain now…", "Train on what there is, whatever the policy says")
    # There is a run to open once Airflow has answered.
    wait_for(page, "#retraining-panel", "Open the run")
    [run] = airflow.runs.values()
    assert run["asked"]["conf"] == {"force": True, "reason": "looked into it"}


def a_question(subject, dag_id="model_rollback", state="awaiting_input"):
    return {"subject": subject, "task_instance": {"dag_id": dag_id, "dag_run_id": "run 1", "state": state}}


def test_a_question_that_waits_for_a_person_leads_to_its_answer(airflow, look):
    airflow.questions = [
        a_question("Roll LAUNDRY back to v1.1.0?"),
        a_question("May it go on?", dag_id="of_others"),
        a_question("Too late?", state="failed"),
    ]
    seen, page = look()
    wait_for(page, "#operations-now", "Somebody is asked: Roll LAUNDRY back to v1.1.0?")
    assert text(page, "#operations-now").count("Somebody is asked") == 1
    page.get_by_role("button", name="Approve or refuse").click()
    seen.page.wait_for_url("**/dags/model_rollback/runs/run%201/required_actions")


def test_airflows_home_has_a_line_with_what_serves_and_a_way_to_the_page(airflow, look):
    seen, _ = look()
    seen.page.goto("/home")
    wait_for(
        seen.page,
        "#models-strip",
        re.compile(r"LAUNDRY\s*v1\.2\.0\s*9\d\.\d % good\s*57 of 100 corrections, 3 of 7 days"),
    )
    seen.page.get_by_role("link", name="LAUNDRY").click()
    seen.page.wait_for_url("**/plugin/models?model_type=LAUNDRY")


def test_what_too_few_said_is_no_figure_on_airflows_home(airflow, look):
    airflow.overlooked.face_serves()
    seen, _ = look()
    overview = "fetch('/model-dashboard/api/overview?model_type=%s').then((one) => one.json())"
    laundry, faces = (seen.page.evaluate(overview % kind) for kind in ("LAUNDRY", "FACE"))
    one_said = {"state": "unknown", "confirmed": 1, "accuracy": 1.0}
    answers_with(seen, "**/api/overview*LAUNDRY", seen={**laundry["seen"], **one_said})
    few = {**faces["rates"]["seen"]["refused"], "failed": 1, "checks": 1, "people": 1, "share": 1.0}
    rates = {**faces["rates"], "seen": {**faces["rates"]["seen"], "accepted": few}}
    answers_with(seen, "**/api/overview*FACE", rates=rates)
    seen.page.goto("/home")
    wait_for(seen.page, "#models-strip", "FACE")
    shown = text(seen.page, "#models-strip")
    assert "v1.2.0– unknown" in shown.replace(" – unknown", "– unknown")
    assert ("wrongly refused 20.0 %, wrongly let in –" in shown, "100.0 %" in shown) == (True, False)


@pytest.mark.parametrize("wrong", ["database", "react"])
def test_airflows_home_is_as_it_was_when_the_line_has_nothing_to_say(airflow, look, wrong):
    seen, page = look(expected=["503"])
    wait_for(page, "#serving-now", "v1.2.0")
    if wrong == "database":
        airflow.away = ServiceUnavailable("the mlops database", "connection refused")
    last = {"database": "**/api/overview*", "react": "**/strip.js"}[wrong]
    with seen.page.expect_response(last):
        seen.page.goto("/home?react=" + ("false" if wrong == "react" else "true"))
    until(lambda: seen.page.evaluate("window.AirflowPlugin !== undefined"), "Airflow's page to load our script")
    assert seen.page.locator("#home").inner_text() == ""


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["Live error rates", "too many wrong", "wrongly refused: 20.0 %", "20 of 100 checks of 40 people"]),
        ("ko", ["실시간 오류율", "오류 많음", "잘못 거부됨: 20.0 %", "40명의 확인 100건 중 20건"]),
    ],
)
def test_of_a_face_model_both_error_rates_stand_where_accuracy_stands(airflow, look, language, said):
    airflow.language = language
    airflow.overlooked.face_serves()
    seen, page = look()
    # As if its own chart never came.
    seen.page.route(re.compile("sightings.*FACE"), lambda _: None)
    page.get_by_role("button", name="FACE").click()
    wait_for(page, "#accuracy-now", said[0])
    rates = text(page, "#accuracy")
    assert [words for words in said if words not in rates] == []
    assert ("11.0 %–33.0 %" in rates, page.locator("#accuracy-chart canvas").count()) == (True, 0)
    assert "v1.1.0" in text(page, "#serving-now")
    seen.keep(f"dashboard of faces in {language}")


A_NIGHT = {
    "en": ["3 of 50 corrections", "about 2 of 20 people", "not yet 3 corrections, 50 needed", "Retrain now…"],
    "ko": ["교정 3 / 50건", "대상 인원 2 / 20명", "3 corrections, 50 needed", "지금 재학습…"],
}


@pytest.mark.parametrize("language", A_NIGHT)
def test_of_a_face_model_people_see_the_way_to_its_next_retraining_and_the_one_that_runs(airflow, look, language):
    seen = airflow.overlooked
    seen.face_serves()
    airflow.language = language
    wrong = {"ai_result": "different", "final_result": "same"}
    people = enumerate(["kim", "kim", "lee"])
    seen.face_confirmations.store([a_face_confirmation(str(n), name, **wrong) for n, name in people])
    now = airflow.world.clock.now()
    answer = RetrainingDecision(False, "too_few", "3 corrections, 50 needed", Backlog(3, 3, None, people=2))
    seen.sightings.decisions.record(ModelType.FACE, answer, at=now, asked_by="face_model_retraining")
    window, page = look()
    window.page.goto("/plugin/models?model_type=FACE")
    for said in A_NIGHT[language]:
        wait_for(page, "#retraining", said)
    window.keep(f"dashboard of a retraining of faces in {language}")
    assert serious_faults(window.page.frames[1]) == []
    if language == "en":
        decide(page, "Retrain now…", "Train on what there is, whatever the policy says")
        wait_for(page, "#retraining-panel", "Open the run")
        assert [run["asked"]["conf"] for run in airflow.runs.values()] == [{"force": True, "reason": "looked into it"}]
        assert [dag for dag, _ in airflow.begun] == ["face_model_retraining"]
        airflow.world.runs.begin("faces-7", ModelType.FACE, at=now, by="kim")
        airflow.retrainings, airflow.at_work = ["faces-7"], ["learn"]
        window.page.reload()
        wait_for(page, "#retraining-now", "faces-7")
        wait_for(page, "#retraining-now", "learn")


def test_a_face_model_that_missed_its_swap_is_put_live_and_no_canary_tries_it(airflow, look):
    airflow.overlooked.face_serves()
    world = airflow.world
    version = replace(
        world.versions.rows[ModelType.LAUNDRY, "v1.3.0"], model_type=ModelType.FACE, version="v1.2.0", run_id="faces-3"
    )
    world.versions.rows[ModelType.FACE, "v1.2.0"] = version
    world.blessings.granted["faces-3"] = a_blessing("faces-3", model_type=ModelType.FACE, champion_version="v1.1.0")
    seen, page = look()
    seen.page.goto("/plugin/models?model_type=FACE")
    page.get_by_role("button", name="Details of v1.2.0").click()
    wait_for(page, "#models-table", "Start a canary: not possible. no canary tries a model of this type")
    assert page.get_by_role("button", name=re.compile("Force|Set aside")).count() == 0
    decide(page, "Promote…", "Everybody gets v1.2.0")
    wait_for(page, "#models-panel", "Open the run")
    [run] = airflow.runs.values()
    asked_for = {"version": "v1.2.0", "rollout": "full", "model_type": "FACE", "reason": "looked into it"}
    assert run["asked"]["conf"] == asked_for
    promotion = DAGS["model_promotion"]
    assert all(copy.deepcopy(promotion.params.get_param(name)).resolve(asked_for[name]) for name in asked_for)


def test_a_line_of_airflows_home_leads_to_the_page_of_its_model_type(airflow, look):
    airflow.overlooked.face_serves()
    seen, page = look()
    seen.page.goto("/home")
    wait_for(seen.page, "#models-strip", "FACE")
    seen.page.get_by_role("link", name="FACE").click()
    wait_for(page, "#accuracy-now", "Live error rates")


def test_who_signs_in_again_comes_back_to_the_same_model_type(airflow, look):
    seen, page = look(expected=["401", "404"])
    page.get_by_role("button", name="FACE").click()
    wait_for(page, "#serving-now", "No model serves yet.")
    airflow.signed_out = True
    page.get_by_role("button", name="Sign in again").click()
    seen.page.wait_for_url(re.compile("auth/login[?]next=.*model_type%3DFACE"))


def test_both_error_rates_of_a_face_model_are_drawn_over_time(airflow, look):
    airflow.overlooked.face_serves()
    _, page = look()
    page.get_by_role("button", name="FACE").click()
    wait_for(page, "#accuracy-now", "Live error rates")
    page.locator("#accuracy-chart canvas").wait_for()
    assert "Rates of wrong answers" in page.locator("#accuracy-chart").get_attribute("aria-label")


def test_an_address_may_name_the_model_type(two_types, look):
    seen, page = look()
    wait_for(page, "#serving-now", "v1.2.0")
    seen.page.goto("/plugin/models?model_type=FACE")
    wait_for(page, "#serving-now", "No model serves yet.")


def test_another_model_type_is_another_page(two_types, airflow, look):
    _, page = look(Person())
    wait_for(page, "#serving-now", "v1.2.0")
    page.get_by_role("button", name="FACE").click()
    wait_for(page, "#serving-now", "No model serves yet.")
    assert page.get_by_role("button", name="Roll back…").count() == 0
