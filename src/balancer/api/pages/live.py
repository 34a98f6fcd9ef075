"""Live pages: a stream of server-sent events that replaces parts of a page by what they have become.

Invariants:
    * A part is sent when it has changed, and only then; what is sent is rendered by the templates of the page.
    * Streams are bounded, in number and in time; a browser whose stream ends begins another one.
    * A stream ends with its session, and before the daemon is replaced.

An event is named `part`; its data are the id of the element and the HTML that takes its place. A page that shows lines
as they are written has others beside it, `lines` above all, from a `News`. `still` says that nothing has changed, for
scripts hear of no comment.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from fastapi import Request
from starlette.responses import StreamingResponse

from balancer.api.pages.rendering import HEADERS
from balancer.api.server import ending_of
from balancer.api.sessions import session_of
from balancer.errors import BalancerError, Unavailable

Parts = Mapping[str, str]
"""The id of each element that changes, and its HTML."""
News = Callable[[], Awaitable[Sequence[tuple[str, object]]]]
"""Gives the events, name and data, that have come since it was asked last."""
# 2 s: as often as there is something new of the traffic; a step of a deploy is not missed by it.
EVERY_SECONDS = 2.0
# 0.3 s: who watches a log does not notice less.
_NEWS_SECONDS = 0.3
# 100: each looks at some apps every two seconds, which costs about a millisecond.
_STREAMS_LIMIT = 100
# 10 minutes: then the session is asked for anew, and what a proxy in between has forgotten is begun again.
_LASTS_SECONDS = 600.0
# 20 s: proxies in between close what is silent for a minute, some for 30 s.
_SILENCE_SECONDS = 20.0
_open = 0


def live(request: Request, parts: Callable[[], Awaitable[Parts]], news: News | None = None) -> StreamingResponse:
    """Answer with a stream of what `parts` says has changed, and of `news`, which is asked more often.

    Raises Unavailable where too many are open.
    """
    if _open >= _STREAMS_LIMIT:
        raise Unavailable(
            f"{_STREAMS_LIMIT} pages are kept up to date already; load this one again to see how things stand"
        )
    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(request, parts, news), media_type="text/event-stream", headers=headers)


def event(name: str, value: object) -> str:
    """Return one event, as text/event-stream writes it."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"


async def _events(request: Request, parts: Callable[[], Awaitable[Parts]], news: News | None) -> AsyncIterator[str]:
    global _open
    _open += 1
    ending, clock = ending_of(request.scope), asyncio.get_running_loop().time
    sent: dict[str, str] = {}
    began = spoke = clock()
    try:
        yield "retry: 2000\n\n"
        while not ending.is_set() and clock() - began < _LASTS_SECONDS:
            if await session_of(request) is None:
                yield event("over", None)
                return
            try:
                there = await parts()
            except BalancerError as reason:
                yield event("trouble", str(reason))
                there = sent
            changed = [(name, html) for name, html in there.items() if sent.get(name) != html]
            sent = dict(there)
            for name, html in changed:
                yield event("part", {"id": name, "html": html})
            if changed:
                spoke = clock()
            elif clock() - spoke >= _SILENCE_SECONDS:
                yield event("still", None)
                spoke = clock()
            again = clock() + EVERY_SECONDS
            while news is not None and clock() < again - _NEWS_SECONDS and not ending.is_set():
                for name, value in await news():
                    yield event(name, value)
                    spoke = clock()
                await _wait(ending, _NEWS_SECONDS)
            await _wait(ending, max(0.0, again - clock()))
    finally:
        _open -= 1


async def _wait(ending: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ending.wait()
