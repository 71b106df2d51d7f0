"""A person's window on a page behind a base URL, and what goes wrong in it that nobody would see."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route

from include.stack.layout import REPOSITORY

PATIENCE_MS = 60_000


@dataclass(frozen=True)
class Person:
    """How somebody looks at a page; `login` is Playwright's `storage_state` of an earlier visit."""

    width_pixels: int = 1280
    height_pixels: int = 800
    language: str = "en-GB"
    dark: bool = False
    login: Mapping[str, object] | None = None


AT_A_DESK = Person()
ON_A_PHONE = Person(width_pixels=360, height_pixels=740)


@dataclass
class Visit:
    """`unwelcome` grows by what the browser complains about and by requests to another host.

    A test that breaks something on purpose says which complaints that causes: `expected` are patterns of them.
    """

    page: Page
    base_url: str
    expected: Sequence[str] = ()
    unwelcome: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._note(f"a script failed: {error}"))
        self.page.on("request", self._see)

    def keep(self, name: str) -> Path:
        """A picture of the whole page as it is now."""
        path = screenshots() / (re.sub(r"[^\w-]+", "-", name) + ".png")
        self.page.screenshot(path=path, full_page=True)
        return path

    def is_wider_than_its_window(self) -> bool:
        """Whether a person has to scroll sideways."""
        return bool(self.page.evaluate("document.scrollingElement.scrollWidth > window.innerWidth"))

    @contextmanager
    def half_answers(self, pattern: str) -> Iterator[list[str]]:
        """Meanwhile answers of these addresses break off half-way; the addresses that were asked."""
        asked: list[str] = []

        def break_off(route: Route) -> None:
            asked.append(route.request.url)
            whole = route.fetch().body()
            route.fulfill(status=200, content_type="application/json", body=whole[: len(whole) // 2])

        self.page.route(pattern, break_off)
        yield asked
        self.page.unroute(pattern, break_off)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"the console says: {message.text} ({message.location.get('url', '')})")

    def _see(self, request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in {"data", "blob"} and asked.netloc != urlsplit(self.base_url).netloc:
            self._note(f"asked another host: {request.url}")

    def _note(self, text: str) -> None:
        if not any(re.search(pattern, text) for pattern in self.expected):
            self.unwelcome.append(text)


def open_window(browser: Browser, base_url: str, person: Person, expected: Sequence[str] = ()) -> Visit:
    """Nothing is loaded yet: `visit.page.goto("/path")` does that."""
    context = browser.new_context(
        base_url=base_url,
        viewport={"width": person.width_pixels, "height": person.height_pixels},
        locale=person.language,
        color_scheme="dark" if person.dark else "light",
        storage_state=person.login,  # type: ignore[arg-type]
    )
    context.set_default_timeout(PATIENCE_MS)
    return Visit(context.new_page(), base_url, expected)


def screenshots() -> Path:
    """Kept from one run to the next, for people to look at."""
    folder = REPOSITORY / ".stack" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def can_install() -> bool:
    """Whether `make install` could have installed it."""
    return shutil.which("apt-get") is not None and (os.geteuid() == 0 or shutil.which("sudo") is not None)
