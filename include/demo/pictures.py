"""What people see at the end of a demo, kept as pictures: page *Models* in Airflow, its home, the review page."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE_MS = 60_000
_MODELS = "/plugin/models?model_type="
# By name: the address, what has to be there first, in the page or its frame, and how wide the window is.
_OF_AIRFLOW = {
    "models of laundry": (f"{_MODELS}LAUNDRY", "#serving-now p", 1280),
    "models of laundry on a phone": (f"{_MODELS}LAUNDRY", "#serving-now p", 390),
    "models of faces": (f"{_MODELS}FACE", "#serving-now p", 1280),
    "home": ("/", "#models-strip", 1280),
}


def browser_program() -> str | None:
    """Its path; `CHROMIUM` in the environment names another one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)


def keep_pictures(folder: Path, airflow: str, token: str, others: Mapping[str, str]) -> Mapping[str, str]:
    """What became of each picture: its path, or why there is none; nothing of it is worth failing for.

    `token` is a login of Airflow, `others` are addresses of further pages by their names.
    """
    from playwright.sync_api import Error, sync_playwright

    program = browser_program()
    if program is None:
        return {"no picture": "there is no Chromium: `make install` installs it"}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as playwright:
            # As root Chromium cannot make its sandbox; it sees pages of ours alone.
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            return {**_of_airflow(browser, airflow, token, folder), **_of_others(browser, others, folder)}
    except Error as error:
        return {"no picture": error.message.splitlines()[0]}


def _of_airflow(browser: "Browser", airflow: str, token: str, folder: Path) -> dict[str, str]:
    kept = {}
    for name, (path, awaited, width) in _OF_AIRFLOW.items():
        context = browser.new_context(viewport={"width": width, "height": 900})
        context.add_cookies([{"name": "_token", "value": token, "url": airflow}])
        in_frame = "iframe" if path.startswith(_MODELS) else ""
        kept[name] = _kept(context, f"{airflow}{path}", f"{in_frame} {awaited}", folder / _file(name))
    return kept


def _of_others(browser: "Browser", others: Mapping[str, str], folder: Path) -> dict[str, str]:
    return {name: _kept(browser.new_context(), at, " body", folder / _file(name)) for name, at in others.items()}


def _kept(context: "BrowserContext", address: str, awaited: str, path: Path) -> str:
    from playwright.sync_api import Error

    frame, _, selector = awaited.partition(" ")
    context.set_default_timeout(_PATIENCE_MS)
    try:
        page = context.new_page()
        page.goto(address)
        place = page.frame_locator(frame) if frame else page
        place.locator(selector).first.wait_for()
        # What is asked for later, such as replicas, Airflow and photos, belongs into the picture.
        page.wait_for_load_state("networkidle")
        page.screenshot(path=path, full_page=True)
    except Error as error:
        return f"no picture: {error.message.splitlines()[0]}"
    finally:
        context.close()
    return str(path)


def _file(name: str) -> str:
    return f"demo-{re.sub(r'[^a-z]+', '-', name)}.png"


def tell(kept: Mapping[str, str], say: Callable[[str], None]) -> None:
    """One line for those that are there, and one for each that is not."""
    there = [found for found in kept.values() if found.endswith(".png")]
    if there:
        say(f"{len(there)} pictures of what people see lie in {Path(there[0]).parent}")
    for name, why in kept.items():
        if not why.endswith(".png"):
            say(f"{name}: {why}")
