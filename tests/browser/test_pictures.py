"""The demo keeps pictures of what people see, and says which it could not make."""

import pytest

from include.demo.pictures import _OF_AIRFLOW, keep_pictures, tell
from tests.browser.airflow_stand_in import AirflowStandIn, listening
from tests.unit.pipeline.steps.live_world import World


def in_a_thread_of_its_own(call, *values):
    """Playwright of the other tests holds the loop of this one."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as own:
        return own.submit(call, *values).result()


@pytest.mark.usefixtures("browser")
def test_each_page_is_kept_and_one_that_does_not_come_is_named(tmp_path):
    airflow, said = AirflowStandIn(World().live("first", "second")), []
    airflow.overlooked.face_serves()
    with listening(airflow.app) as url:
        others = {"review page": f"{url}/home", "gone": "http://127.0.0.1:1/"}
        kept = in_a_thread_of_its_own(keep_pictures, tmp_path / "screenshots", url, "token", others)
    made = {path.name for path in (tmp_path / "screenshots").iterdir() if path.read_bytes().startswith(b"\x89PNG")}
    there = {f"demo-{name.replace(' ', '-')}.png" for name in _OF_AIRFLOW}
    assert there | {"demo-review-page.png"} <= made and "demo-gone.png" not in made
    tell(kept, said.append)
    assert said[0] == f"{len(made)} pictures of what people see lie in {tmp_path / 'screenshots'}"
    assert [line for line in said if line.startswith("gone: no picture: ")]


def test_without_a_browser_a_sentence_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setattr("include.demo.pictures.browser_program", lambda: None)
    said = []
    tell(keep_pictures(tmp_path, "http://127.0.0.1:1", "token", {}), said.append)
    assert said == ["no picture: there is no Chromium: `make install` installs it"]
