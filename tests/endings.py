"""What the end of a process costs: what was in flight on it, which is known by its times and not by how many it is.

A process does not end in one moment. Once the signal is there its threads end, and the last of them closes the
sockets: the newest connection first, the listener last. It waits for its turn as others do, so this took 2.5 to 7 ms
as a rule, and up to 0.2 s on a crowded machine. Until its listener is closed, whoever connects is let into the
listener's queue, which nobody reads any more; and a connection that has its turn yet to come looks well.

So a client whose request was broken off may ask again before the end, be led to such a socket, and lose that request,
too, when it is closed. How often, depends on how quick the client is and how slow the end: two were seen often, three
in 2 of 495 ends. From the end on connections are refused, which leads HAProxy to who stands in. Where HAProxy had no
core just then, it hears of the end, and of what was asked a moment later, in one pass over its sockets: so a request
may fail that began after the end, but none that began after HAProxy had answered such a one.

HAProxy's own end is another matter: its listeners are the daemon's as well, and who asks again waits in a queue that
the next HAProxy reads. docs/explanation/failures.md has the figures.
"""

import os
import select
import threading
import time
from collections import Counter
from pathlib import Path

from hammering import Request, Tally
from waiting import until

# 60 s: a test waits longer than that for nothing else.
_DEADLINE_SECONDS = 60.0
# 2 s, ten times what was seen on a crowded machine: one that took longer would explain failures of another cause.
_LONGEST_SECONDS = 2.0


def dying(note: Path, seconds: float, by: str) -> str:
    """Return lines that end the program they stand in so long after `may_die`, by a call of `os`; `note` tells when."""
    return f"""
import os, signal, threading, time
def _note(what):
    with open({str(note)!r}, "a") as note:
        note.write(repr(what) + "\\n")
def _die():
    while not os.path.exists({str(_leave(note))!r}):
        time.sleep(0.02)
    time.sleep({seconds})
    _note(time.monotonic())
    os.{by}
_note(os.getpid())
threading.Thread(target=_die).start()
"""


def may_die(note: Path) -> None:
    """Let a `dying` program end, which is live now: how long that took is no matter of its life."""
    _leave(note).touch()


def _leave(note: Path) -> Path:
    return note.with_name(f"{note.name}.leave")


class Ending:
    """One end of one instance, watched from before its beginning."""

    looks: frozenset[str] = frozenset({"502", "RemoteDisconnected"})
    """How it looks to a client when its request is broken off; 503 would be one that nobody was found for."""
    most: int | None = None
    """Requests that one client may lose to it, where that is known."""

    def __init__(self, process: int | Path) -> None:
        """Watch a process that is about to be killed, by its pid; or one that is about to be `dying`, by its note."""
        self._process = process
        # At once: who is killed in a moment may be gone before the thread has its turn.
        self._watched = os.pidfd_open(process) if isinstance(process, int) else None
        self._made = time.monotonic()
        self._seen = 0.0
        self._watch = threading.Thread(target=self._see_it_end, daemon=True)
        self._watch.start()

    @property
    def began(self) -> float:
        """When nothing had been closed yet; waits for the end."""
        self._watch.join(_DEADLINE_SECONDS)
        return float(_lines(self._process)[1]) if isinstance(self._process, Path) else self._made

    @property
    def ended(self) -> float:
        """When everything was closed, as soon as that was seen; waits for it."""
        self._watch.join(_DEADLINE_SECONDS)
        assert self._seen, f"the process did not end within {_DEADLINE_SECONDS:g} s"
        return self._seen

    def noticed(self, tally: Tally) -> float:
        """When HAProxy had surely noticed the end: it had answered something, with whatever, that began after it."""
        return min((request.ended for request in tally.seen if request.began > self.ended), default=self.ended)

    def took(self, tally: Tally) -> set[Request]:
        """Return what failed and may have been in flight on it while it ended, or before HAProxy had noticed."""
        noticed = self.noticed(tally)
        return {request for request in tally.seen if request.failed and self._overlaps(request, noticed)}

    def _overlaps(self, request: Request, noticed: float) -> bool:
        return request.began <= noticed and self.began <= request.ended

    def _see_it_end(self) -> None:
        watched = self._watched
        if isinstance(note := self._process, Path):
            until(lambda: _lines(note), _DEADLINE_SECONDS)
            watched = os.pidfd_open(int(_lines(note)[0]))
        assert watched is not None
        try:
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            # It is readable when the last thread has ended, and that is after it has closed all sockets.
            if poll.poll(_DEADLINE_SECONDS * 1000):
                self._seen = time.monotonic()
        finally:
            os.close(watched)


class ProxyEnding(Ending):
    """One end of HAProxy's worker, whose own the connections of clients are.

    One that was kept ends with it, also while nothing is in flight; the client notices when it sends the next request.
    """

    looks = frozenset({"RemoteDisconnected", "ConnectionResetError", "BrokenPipeError", "IncompleteRead"})
    most = 1

    def _overlaps(self, request: Request, noticed: float) -> bool:
        return request.opened <= self.ended and self.began <= request.ended


def check_cost(tally: Tally, *endings: Ending) -> str:
    """Assert that nothing failed but what the endings took, and return what they cost, to print."""
    left = {request for request in tally.seen if request.failed}
    told: list[str] = []
    # The last one first: a connection from before one ending may have outlived it, and ended with the next.
    for ending in sorted(endings, key=lambda ending: ending.began, reverse=True):
        span = f"it ended from {ending.began} to {ending.ended}, noticed by {ending.noticed(tally)}"
        took = ending.ended - ending.began
        assert took < _LONGEST_SECONDS, span
        lost = left & ending.took(tally)
        assert {request.what for request in lost} <= ending.looks, f"not broken off: {lost}; {span}"
        most = max(Counter(request.client for request in lost).values(), default=0)
        assert ending.most is None or most <= ending.most, f"a client lost {most}: {lost}; {span}"
        late = sum(request.began > ending.ended for request in lost)
        told.append(f"{len(lost)} ({most} of one client, {late} begun after it) in {took * 1000:.1f} ms")
        left -= lost
    assert not left, (
        f"failed, and not in flight on what ended: {left}; {[(each.began, each.ended) for each in endings]}"
    )
    return f"lost {', '.join(reversed(told))}; {tally.describe()}"


def _lines(note: Path) -> list[str]:
    return note.read_text().splitlines() if note.exists() else []
