"""A window notices what a person would not: scripts that fail, files that are missing, requests to other hosts."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.visiting import ON_A_PHONE, Person, open_window
from tests.listening import listen


@pytest.fixture
def serve():
    """`serve(html)` → base URL of a server that answers it at `/`, and 404 elsewhere."""
    servers = []

    def start(html):
        class Answers(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/" else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(html.encode() if self.path == "/" else b"")

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answers))
        listen(servers[-1])
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script>nobody()</script>", "a script failed"),
        ("<img src='/missing.png'>", "the console says.*404.*missing.png"),
        ("<link rel='stylesheet' href='http://elsewhere.invalid/a.css'>", "asked another host.*a.css"),
        ("<script>console.error('lost')</script>", "the console says: lost"),
    ],
)
def test_a_window_hears_what_is_wrong_and_what_is_expected_is_no_complaint(browser, serve, html, complaint):
    url = serve(f"<link rel='icon' href='data:,'>{html}")
    heard = {}
    for expected in ((), (complaint, "ERR_NAME_NOT_RESOLVED")):
        seen = open_window(browser, url, Person(), expected)
        seen.page.goto("/", wait_until="load")
        heard[expected] = seen.unwelcome
        seen.page.context.close()
    assert any(complaint.partition(".")[0] in text for text in heard[()])
    assert heard[complaint, "ERR_NAME_NOT_RESOLVED"] == []


def test_a_page_too_wide_for_a_phone_is_seen(visit, serve):
    url = serve(
        "<meta name=viewport content='width=device-width'><link rel=icon href=data:,><p style='width:500px'>long"
    )
    for person, wide in ((ON_A_PHONE, True), (Person(), False)):
        seen = visit(url, person)
        seen.page.goto("/")
        assert seen.is_wider_than_its_window() == wide


def test_a_window_has_the_persons_language_and_light(visit, serve):
    seen = visit(serve("<link rel=icon href=data:,>세탁물"), Person(language="ko-KR", dark=True))
    seen.page.goto("/")
    assert seen.page.evaluate("[navigator.language, matchMedia('(prefers-color-scheme: dark)').matches]") == [
        "ko-KR",
        True,
    ]
    # Without a font for it, every syllable is the same box.
    assert seen.page.evaluate(
        """() => {const draw = text => {const c = document.createElement('canvas').getContext('2d');
           c.font = '40px sans-serif'; c.fillText(text, 20, 60); return c.canvas.toDataURL()};
           return draw('양호') !== draw('불량')}"""
    )
