"""What is kept for each thread."""

from __future__ import annotations

import threading

from winsock.dispatcher import threads


def test_each_thread_has_its_own_last_error() -> None:
    """ERR-004."""
    threads.current().last_error = 10054
    elsewhere: list[int] = []
    thread = threading.Thread(target=lambda: elsewhere.append(threads.current().last_error), daemon=True)
    thread.start()
    thread.join()
    assert elsewhere == [0]
    assert threads.current().last_error == 10054
