"""HTTP servers of tests, each in a thread of its own."""

import socketserver
import threading

# `shutdown` waits until the server looks next. By default it looks twice a second, and many tests have a server each.
_LOOK_SECONDS = 0.02


def listen(server: socketserver.BaseServer) -> threading.Thread:
    """Let it serve until its `shutdown`; the thread ends with it."""
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_SECONDS,), daemon=True)
    thread.start()
    return thread
