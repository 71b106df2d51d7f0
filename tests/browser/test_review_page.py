"""The review page as its people use it: by keyboard, on a phone, in Korean, in the dark, and when things are away."""

import json
import re
from datetime import UTC, datetime

import httpx
import pytest
from playwright.sync_api import expect

from include.demo.branch_managers import Garment, hand_in
from tests.browser.accessibility import serious_faults
from tests.browser.visiting import AT_A_DESK, ON_A_PHONE, Person
from tests.replica.world import replica
from tests.reviewing import BAD, GOOD, a_photo, a_review, helper_app, model_events, outbox, rows, serving, upload
from tests.tiny_model import coloured_photo, stain_or_mud
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def helper(services):
    """`helper(photos, **settings)` → base URL of a Helper service with so many tasks: TASK-00, TASK-01, …"""
    opened = []

    def start(photos, **settings):
        opened.append(serving(helper_app(services, **settings)))
        url = opened[-1].__enter__()
        for number in range(photos):
            upload(services, f"TASK-{number:02}", a_photo(number))
            sql = (
                "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result, model_version, confidence, created_at)"
                " VALUES (%s, 'H-1', %s, %s, 'v1.0.0', 0.97, now() + %s * interval '1 ms')"
            )
            name = f"TASK-{number:02}"
            rows(services, sql, name, f"s3://tasks/{name}.jpg", GOOD, number)
        return url

    yield start
    for one in opened:
        one.__exit__(None, None, None)


@pytest.fixture
def review(visit):
    """`review(url, person)` → the page of reviewer kim, with the first photo in sight."""

    def open_(url, person=AT_A_DESK, *, task="TASK-00", **more):
        seen = visit(url, person, **more)
        seen.page.goto("/review?reviewer=kim&branch=B-1")
        if task:
            in_sight(seen.page, task)
        return seen

    return open_


def in_sight(page, task):
    """The photo of `task` is there, and a person may judge it."""
    expect(page.locator("#caption")).to_have_text(task)
    expect(page.locator("#choices button").first).to_be_enabled()
    expect(page.locator("#choices")).to_be_visible()


def said(services):
    """Words in the order in which they were said."""
    return rows(services, "SELECT task_id, final_result FROM reviews ORDER BY said_at")


def test_by_keyboard_twenty_photos_are_judged_one_taken_back_and_the_events_are_those_words(services, helper, review):
    seen = review(helper(20, undo_seconds=60))
    page = seen.page
    for number in range(20):
        in_sight(page, f"TASK-{number:02}")
        if number == 7:
            page.keyboard.press("2")
            seen.keep("review-correcting")
            page.keyboard.press("1")
        elif number == 9:
            page.keyboard.press("2")
            page.locator("textarea").fill("소매의 얼룩")
            page.keyboard.press("Enter")
        elif number == 11:
            page.keyboard.press("Enter")
            in_sight(page, "TASK-12")
            page.keyboard.press("z")
            in_sight(page, "TASK-11")
            page.keyboard.press("2")
            page.keyboard.press("2")
        else:
            page.keyboard.press("Enter")
        if number == 12:
            seen.keep("review-at-a-desk")
    expect(page.locator("#nothing")).to_be_visible()
    expect(page.locator("#counts")).to_have_text("0 waiting · 20 reviewed today, 3 corrected")
    seen.keep("review-nothing-waits")
    rows(services, "UPDATE reviews SET leaves_at = now()")
    until(lambda: len(outbox(services)) == 20, "every word to leave")
    events = {event["taskId"]: event for event in outbox(services)}
    corrections = {"TASK-07": "the AI missed a stain", "TASK-09": "소매의 얼룩", "TASK-11": "the AI missed a tear"}
    assert {task: event["correctionReason"] for task, event in events.items() if event["corrected"]} == corrections
    assert {task for task, event in events.items() if event["finalResult"] == BAD} == set(corrections)
    assert all(0 <= event["reviewSeconds"] < 120 and event["reviewerId"] == "kim" for event in events.values())


def test_enter_confirms_nothing_while_the_photo_is_not_in_sight(services, helper, visit):
    seen = visit(helper(2), expected=("404",))
    page, held = seen.page, []
    # A method of a list would not do: Playwright writes on what it is given.
    page.route("**/photo", lambda route: held.append(route))  # noqa: PLW0108
    with page.expect_request("**/photo"):
        page.goto("/review?reviewer=kim")
    expect(page.locator("#choices button").first).to_be_disabled()
    for key in ("Enter", "1", "2"):
        page.keyboard.press(key)
    expect(page.locator("#why")).to_be_hidden()
    assert said(services) == []
    held[0].fulfill(status=404)
    expect(page.locator("#caption")).to_have_text("This photo cannot be shown. Take it later.")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    held[1].continue_()
    in_sight(page, "TASK-01")
    page.keyboard.press("Enter")
    until(lambda: said(services) == [("TASK-01", GOOD)], "the only word")


def test_the_next_photo_is_fetched_while_this_one_is_judged(helper, review):
    url = helper(4)
    seen = review(url)
    until(
        lambda: seen.page.evaluate(
            "performance.getEntriesByType('resource').filter(e => e.name.endsWith('/photo')).length >= 3"
        ),
        "the next photos to be fetched",
    )


def test_time_in_which_the_page_was_out_of_sight_is_no_time_of_reviewing(services, helper, visit):
    seen = visit(helper(2))
    page = seen.page
    page.clock.install()
    page.goto("/review?reviewer=kim")
    in_sight(page, "TASK-00")

    def turn_away(hidden):
        page.evaluate(
            """hidden => {Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
               document.dispatchEvent(new Event('visibilitychange'))}""",
            hidden,
        )

    page.clock.run_for(7_000)
    turn_away(True)
    page.clock.run_for(50_000)
    turn_away(False)
    page.clock.run_for(6_000)
    page.keyboard.press("Enter")
    until(lambda: len(outbox(services)) == 1, "the word to leave")
    assert 13 <= outbox(services)[0]["reviewSeconds"] < 50


def test_a_name_that_cannot_be_is_asked_for_again(helper, visit):
    seen = visit(helper(1), expected=("422",))
    seen.page.goto("/review?reviewer=%3Cb%3E")
    expect(seen.page.locator("#trouble")).to_contain_text("A name is letters and digits")
    expect(seen.page.locator("#enter")).to_be_visible()


def test_what_can_no_longer_be_taken_back_is_no_longer_offered(services, helper, review):
    page = review(helper(2, undo_seconds=0)).page
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    expect(page.locator("#said")).to_be_hidden()
    page.keyboard.press("z")
    until(lambda: len(outbox(services)) == 1, "the word to leave")
    assert said(services) == [("TASK-00", GOOD)]


def test_a_blind_photo_shows_no_verdict_and_enter_says_nothing(services, helper, review):
    seen = review(helper(1, blind_audit_share=1))
    page = seen.page
    seen.keep("review-blind")
    assert serious_faults(seen.page) == []
    assert "97" not in page.locator("body").inner_text() and "v1.0.0" not in page.locator("body").inner_text()
    page.keyboard.press("Enter")
    assert said(services) == []
    page.keyboard.press("2")
    until(lambda: said(services) == [("TASK-00", BAD)], "the word")
    until(lambda: [event["blindAudit"] for event in outbox(services)] == [True], "the event")


def test_on_a_phone_everything_is_within_the_width_and_can_be_pressed(services, helper, review):
    seen = review(helper(2, undo_seconds=60), ON_A_PHONE)
    page = seen.page
    assert not seen.is_wider_than_its_window()
    seen.keep("review-phone")
    assert serious_faults(seen.page) == []
    page.get_by_role("button", name="Correct").click()
    page.get_by_role("button", name="tear").click()
    in_sight(page, "TASK-01")
    assert not seen.is_wider_than_its_window()
    assert page.get_by_role("button", name="Undo").is_visible()
    seen.keep("review-phone-said")
    page.get_by_role("button", name="Undo").click()
    in_sight(page, "TASK-00")
    assert said(services) == []


def test_in_korean_every_word_of_the_page_is_korean(helper, review):
    seen = review(helper(2, undo_seconds=60), Person(language="ko-KR", width_pixels=360, height_pixels=740))
    page = seen.page
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    page.keyboard.press("2")
    seen.keep("review-korean")
    text = re.sub(r"TASK-\d+|Enter|Esc|v1\.0\.0|kim|AI|English|\bZ\b", "", page.locator("body").inner_text())
    assert re.findall(r"[A-Za-z]{2,}", text) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("button", name="Confirm: good 양호")).to_be_enabled()


def test_in_the_dark_the_page_is_dark(helper, review):
    seen = review(helper(1), Person(dark=True))
    seen.keep("review-dark")
    assert serious_faults(seen.page) == []
    colour = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert all(int(part) < 64 for part in re.findall(r"\d+", colour)[:3])


def test_while_the_database_is_away_the_page_says_so_and_goes_on_by_itself(services, helper, review):
    seen = review(helper(2), expected=("503",))
    page = seen.page
    with services.without("postgres"):
        page.keyboard.press("Enter")
        expect(page.locator("#trouble")).to_contain_text("the database is out of reach")
        expect(page.locator("#away")).to_contain_text("The server cannot be reached")
        seen.keep("review-database-away")
        in_sight(page, "TASK-00")
    expect(page.locator("#away")).to_be_hidden()
    expect(page.locator("#trouble")).to_contain_text("Please press again")
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_be_hidden()
    until(lambda: said(services) == [("TASK-00", GOOD)], "the word")


def test_answers_that_break_off_are_no_answers_and_the_page_goes_on_by_itself(services, helper, review):
    seen = review(helper(2))
    page = seen.page
    with seen.half_answers("**/helper/**") as asked:
        page.keyboard.press("Enter")
        expect(page.locator("#trouble")).to_contain_text("answer broke off")
        for path in ("/reviews/serving", "/reviews/queue"):
            page.wait_for_event("response", lambda answer, path=path: path in answer.url)
        expect(page.locator("#away")).to_contain_text("The server cannot be reached")
        in_sight(page, "TASK-00")
    assert {url.rsplit("?")[0].rsplit("/", 1)[-1] for url in asked} >= {"reviews", "serving", "queue"}
    expect(page.locator("#away")).to_be_hidden()
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    assert said(services) == [("TASK-00", GOOD)]


def test_what_the_demo_leaves_is_there_and_after_a_swap_the_new_version_is_seen_to_answer(
    services, helper, visit, tmp_path
):
    with replica(tmp_path) as model:
        model.serve("v1.0.0")
        url = helper(0, judge=None, faceserve_replicas=(model.address,))
        upload(services, "YOURS-00000", a_photo())
        model.source.write("s3://tasks/YOURS-00000.jpg", a_photo())
        hand_in(url, [Garment("YOURS-00000", "s3://tasks/YOURS-00000.jpg", GOOD)])
        page = visit(url).page
        page.goto("/review?reviewer=kim")
        in_sight(page, "YOURS-00000")
        expect(page.locator("#verdict")).to_have_text(re.compile(r"The AI says.*\d+% sure · model v1\.0\.0"))
        expect(page.locator("#serving")).to_have_text("Answering now: v1.0.0")
        model.serve("v1.1.0")
        expect(page.locator("#serving")).to_have_text("Answering now: v1.1.0")


def test_what_the_model_finds_likeliest_is_offered_first_as_the_reason_of_a_correction(
    services, helper, visit, tmp_path
):
    with replica(tmp_path) as model:
        model.serve("v1.0.0", beside=stain_or_mud())
        url, photo = helper(0, judge=None, faceserve_replicas=(model.address,)), coloured_photo(0, 255, 0)
        upload(services, "YOURS-00000", photo)
        model.source.write("s3://tasks/YOURS-00000.jpg", photo)
        hand_in(url, [Garment("YOURS-00000", "s3://tasks/YOURS-00000.jpg", GOOD)])
    rows(services, "UPDATE tasks SET ai_result = %s", GOOD)
    page = visit(url).page
    page.goto("/review?reviewer=kim")
    in_sight(page, "YOURS-00000")
    page.keyboard.press("2")
    offered = page.locator("#reasons button")
    expect(offered).to_have_text(["mud 흙 1", "stain 얼룩 2", re.compile("tear 3"), re.compile("4"), re.compile("5")])
    page.locator("#language").click()
    expect(offered).to_have_text(["흙 1", "얼룩 2", "AI가 놓친 찢어짐 3", "AI가 놓친 변색 4", "AI가 놓친 다른 결함 5"])
    page.keyboard.press("1")
    until(lambda: [event["correctionReason"] for event in outbox(services)] == ["흙"], "the word to leave")


def test_somebody_whose_word_decides_is_told_so_and_not_what_the_others_said(services, helper, review):
    url = helper(1)
    for reviewer, word in (("lee", GOOD), ("park", BAD)):
        httpx.post(f"{url}/helper/tasks/TASK-00/reviews", json=a_review(reviewer, word), timeout=60).raise_for_status()
        until(
            lambda word=word: (
                (word,) in rows(services, "SELECT final_result FROM reviews WHERE settled_at IS NOT NULL")
            ),
            "the word to settle",
        )
    seen = review(url)
    expect(seen.page.locator("#verdict")).to_have_text("Two people disagree about this photo: your word decides.")
    seen.keep("review-third")
    seen.page.keyboard.press("2")
    until(lambda: [event["finalResult"] for event in outbox(services)] == [GOOD, BAD], "the word that decides")


def test_a_branch_that_has_had_its_photos_is_thanked(helper, review):
    seen = review(helper(2, daily_reviews_of_branch={"B-1": 1}, undo_seconds=60))
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator("#nothing")).to_have_text("Your branch has had all its photos for today (1). Thank you!")


def test_what_lies_on_a_desk_goes_when_another_one_said_the_last_word(services, helper, review):
    url = helper(4, daily_reviews_of_branch={"B-1": 2}, undo_seconds=60)
    seen = review(url, expected=["429"])
    for reviewer, task in (("lee", "TASK-02"), ("park", "TASK-03")):
        word = a_review(reviewer, branchId="B-1")
        httpx.post(f"{url}/helper/tasks/{task}/reviews", json=word, timeout=60).raise_for_status()
    seen.page.keyboard.press("Enter")
    expect(seen.page.locator("#nothing")).to_have_text("Your branch has had all its photos for today (2). Thank you!")
    assert len(rows(services, "SELECT task_id FROM reviews")) == 2


def test_what_people_type_is_text_and_never_a_script(services, helper, visit):
    script = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    url = helper(2, undo_seconds=60)
    seen = visit(url)
    page, shown = seen.page, []
    page.on("dialog", lambda dialog: (shown.append(dialog.message), dialog.dismiss()))
    rows(services, "UPDATE tasks SET model_version = %s, ai_result = %s", script, GOOD)
    page.goto("/review?reviewer=kim")
    in_sight(page, "TASK-00")
    expect(page.locator("#verdict")).to_contain_text(script)
    page.keyboard.press("2")
    page.locator("textarea").fill(script)
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    assert shown == [] and rows(services, "SELECT reason FROM reviews") == [(script,)]
    with model_events(services) as publish:
        body = {"modelType": "LAUNDRY", "modelVersion": script, "deployedAt": "2026-05-05T00:00:00Z"}
        publish("e-1", {**body, "correctionsThrough": "2099-01-01T00:00:00Z"})
    rows(services, "UPDATE reviews SET leaves_at = now()")
    until(lambda: len(outbox(services)) == 1, "the word to leave")
    page.reload()
    expect(page.locator("#learned")).to_contain_text(f"Your correction came in time for {script}")
    seen.keep("review-learned")
    assert shown == []


def test_whoever_comes_says_who_they_are_once(helper, visit):
    seen = visit(helper(1))
    page = seen.page
    page.goto("/review")
    seen.keep("review-who")
    page.keyboard.type("김 지점장")
    page.keyboard.press("Enter")
    in_sight(page, "TASK-00")
    page.reload()
    in_sight(page, "TASK-00")
    expect(page.locator("#leave")).to_contain_text("김 지점장")


def look_again(page):
    """The desk has asked for photos twice more, and has shown what it was answered before."""
    for _ in range(2):
        page.wait_for_event("response", lambda answer: "/reviews/queue" in answer.url)


def test_what_became_of_an_act_is_said_until_the_next_one(services, helper, review):
    url = helper(3, undo_seconds=60)
    seen = review(url, expected=["409"])
    page = seen.page
    httpx.post(f"{url}/helper/tasks/TASK-00/reviews", json=a_review("kim", BAD), timeout=60).raise_for_status()
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    look_again(page)
    expect(page.locator("#trouble")).to_have_text("You have said something else of this photo already.")
    page.keyboard.press("Enter")
    in_sight(page, "TASK-02")
    expect(page.locator("#trouble")).to_be_hidden()
    page.keyboard.press("z")
    in_sight(page, "TASK-01")
    look_again(page)
    expect(page.locator("#done")).to_have_text("Taken back.")
    expect(page.locator("#counts")).to_contain_text("waiting")
    seen.keep("review-taken-back")
    assert serious_faults(page) == []
    page.keyboard.press("ArrowRight")
    expect(page.locator("#done")).to_be_hidden()


def test_what_became_of_an_act_is_said_in_the_language_that_is_chosen(helper, review):
    page = review(helper(2, undo_seconds=60)).page
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    page.keyboard.press("z")
    expect(page.locator("#done")).to_have_text("Taken back.")
    page.locator("#language").click()
    expect(page.locator("#done")).to_have_text("되돌렸습니다.")


@pytest.mark.parametrize("year", [2012, 2099])
def test_with_a_wrong_clock_nothing_is_saved_and_no_photo_goes_until_it_is_set(services, helper, review, year):
    seen = review(helper(2), expected=("422",))
    page = seen.page
    wrong = int(datetime(year, 1, 1, 12, tzinfo=UTC).timestamp() * 1000)
    page.evaluate("wrong => { window.right = Date.now; Date.now = () => wrong; }", wrong)
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_contain_text(f"this device says that it is Jan 1, {year}")
    in_sight(page, "TASK-00")
    page.evaluate("Date.now = window.right")
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    assert said(services) == [("TASK-00", GOOD)]


@pytest.mark.parametrize(
    ("status", "detail", "told"),
    [
        (403, "asked by another site's page", "not saved, and pressing again will not help: asked by another site"),
        (418, None, "not saved, and pressing again will not help: HTTP 418"),
        (422, [{"loc": ["body", "reviewSeconds"], "msg": "too few"}], "will not help: reviewSeconds: too few"),
        (502, None, "not saved: HTTP 502. Please press again"),
    ],
)
def test_what_was_not_saved_stays_on_the_desk_with_the_reason(helper, review, status, detail, told):
    seen = review(helper(2), expected=(str(status),))
    page = seen.page
    page.route("**/reviews", lambda route: route.fulfill(status=status, json={"detail": detail}))
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_contain_text(told)
    in_sight(page, "TASK-00")
    page.unroute("**/reviews")
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")


def test_a_photo_that_is_gone_leaves_the_desk_with_a_sentence(services, helper, review):
    page = review(helper(2), expected=("404",)).page
    rows(services, "DELETE FROM tasks WHERE task_id = 'TASK-00'")
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    expect(page.locator("#trouble")).to_have_text("This photo is no longer there.")


def test_a_word_whose_taking_back_was_not_answered_is_taken_back_all_the_same(services, helper, review):
    page = review(helper(2, undo_seconds=60), expected=("ERR_FAILED", "404")).page
    page.keyboard.press("Enter")
    in_sight(page, "TASK-01")
    page.route("**/helper/reviews/*-*", lambda route: (route.fetch(), route.abort()))
    page.keyboard.press("z")
    expect(page.locator("#trouble")).to_contain_text("Please press again")
    page.unroute("**/helper/reviews/*-*")
    page.keyboard.press("z")
    in_sight(page, "TASK-00")
    expect(page.locator("#done")).to_have_text("Taken back.")
    assert said(services) == []


def test_a_question_that_is_refused_for_another_reason_is_no_bad_name(helper, review):
    page = review(helper(1), expected=("422",)).page
    fault = {"loc": ["query", "besides"], "msg": "too many"}
    page.route("**/reviews/queue?*", lambda route: route.fulfill(status=422, json={"detail": [fault]}))
    expect(page.locator("#away")).to_contain_text("No photos come: besides: too many.")
    expect(page.locator("#enter")).to_be_hidden()
    in_sight(page, "TASK-00")


def test_a_name_in_the_address_does_not_come_in_again_by_itself(helper, review):
    page = review(helper(1)).page
    page.locator("#leave").click()
    expect(page.locator("#enter")).to_be_visible()
    page.keyboard.type("lee")
    page.keyboard.press("Enter")
    in_sight(page, "TASK-00")
    expect(page.locator("#leave")).to_contain_text("lee")


def test_a_photo_that_did_not_come_is_fetched_anew_when_it_is_its_turn_again(helper, visit):
    page = visit(helper(1), expected=("503",)).page
    page.route("**/photo", lambda route: route.fulfill(status=503))
    page.goto("/review?reviewer=kim")
    expect(page.locator("#caption")).to_have_text("This photo cannot be shown. Take it later.")
    page.unroute("**/photo")
    page.keyboard.press("ArrowRight")
    in_sight(page, "TASK-00")


@pytest.mark.parametrize("kept", ["{", "null", "5", '{"reviewer": {}, "language": []}'])
def test_what_the_browser_kept_may_be_anything(helper, visit, kept):
    page = visit(helper(1), expected=("422",)).page
    page.add_init_script(f"localStorage.setItem('review', {json.dumps(kept)})")
    page.goto("/review")
    expect(page.locator("#enter")).to_be_visible()
    expect(page.get_by_role("button", name="Begin")).to_be_visible()
