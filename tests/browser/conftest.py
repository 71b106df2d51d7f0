"""Debian's Chromium, driven by Playwright; `visit` opens windows that may complain about nothing."""

from collections.abc import Callable, Generator, Iterator, Sequence

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from include.demo.pictures import browser_program
from tests.browser.visiting import AT_A_DESK, PATIENCE_MS, Person, Visit, can_install, open_window

Visiting = Callable[..., Visit]
_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_FAILED] = report.failed or item.stash.get(_FAILED, False)
    return report


# Of the package, not of the session: Playwright holds an event loop in this thread, where others could start none.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = browser_program()
    if program is None:
        if can_install():
            pytest.fail("there is no Chromium: `make install` installs it")
        pytest.skip("NO PAGE WAS LOOKED AT: there is no Chromium, and neither apt-get with root or sudo to install it")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # As root Chromium cannot make its sandbox; it sees pages of ours alone.
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visiting]:
    """`visit(base_url, person, expected=(patterns,))`; at the end no window may have complained."""
    opened: list[Visit] = []

    def open_one(base_url: str, person: Person = AT_A_DESK, *, expected: Sequence[str] = ()) -> Visit:
        opened.append(open_window(browser, base_url, person, expected))
        return opened[-1]

    yield open_one
    complaints = [text for one in opened for text in one.unwelcome]
    for number, one in enumerate(opened):
        if request.node.stash.get(_FAILED, False):
            one.keep(f"at-the-end-{request.node.name}-{number}")
        one.page.context.close()
    assert not complaints
