"""Rendering: templates to pages and to the fragments that replace parts of them.

Invariants:
    * Whatever a template is given is text, and is escaped.
    * A page runs no script and takes no style but ours, from here: nothing inline, nothing from elsewhere.
    * A page is not kept by caches: it is of one session.

Every page is made by `page`; what every template may use beside its own values is in `_environment`.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from balancer import __version__
from balancer.api.pages.legible import legible
from balancer.api.pages.sparkline import sparkline
from balancer.api.sessions import CSRF_FIELD, csrf_of, session_of
from balancer.domain.audit_words import Told
from balancer.domain.release import InstanceState, ReleaseState
from balancer.domain.role import Role
from balancer.domain.weights import percent
from balancer.services.deploy_standing import in_a_line
from balancer.services.overview import Health
from balancer.stats.verdict import Verdict
from balancer.views.findings import findings_of, foremost_of

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
# No style of ours is inline either, so what somebody smuggles in has no effect. Frames: nobody clicks through one.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OPTION = re.compile(r", --[a-z][a-z-]*(?: [^\s,;]*[^\s,;.])?")
# What a light is: its kind gives the shape and the colour, and beside it is always the word.
KINDS: Mapping[Health | Verdict | ReleaseState | InstanceState, str] = {
    Health.HEALTHY: "good",
    Health.DOWN: "bad",
    Health.DEGRADED: "warn",
    Health.STOPPED: "off",
    Health.PAUSED: "warn",
    Health.MAINTENANCE: "warn",
    Health.EMPTY: "off",
    ReleaseState.BUILDING: "busy",
    ReleaseState.STARTING: "busy",
    ReleaseState.LIVE: "good",
    ReleaseState.DRAINING: "off",
    ReleaseState.RETIRED: "off",
    ReleaseState.FAILED: "bad",
    InstanceState.STARTING: "busy",
    InstanceState.HEALTHY: "good",
    InstanceState.UNHEALTHY: "bad",
    InstanceState.STANDBY: "steady",
    InstanceState.DRAINING: "off",
    InstanceState.STOPPED: "off",
    Verdict.SHIP: "good",
    Verdict.ROLL_BACK: "bad",
    Verdict.BROKEN_SPLIT: "warn",
    Verdict.KEEP_RUNNING: "steady",
    Verdict.NOT_ENOUGH_DATA: "off",
}


async def page(
    request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: object
) -> HTMLResponse:
    """Return a page; the template has `session`, `operator`, `csrf` and `path` beside its own values."""
    session = await session_of(request)
    text = _environment.get_template(template).render(
        session=session,
        operator=session is not None and session.role.may(Role.OPERATOR),
        csrf=csrf_of(session) if session else "",
        csrf_field=CSRF_FIELD,
        path=request.url.path,
        **values,
    )
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})


def fragment(template: str, macro: str, *arguments: object) -> Markup:
    """Return what a macro of a template makes: a part of a page, which a script puts in the place of the one before."""
    made: Markup = getattr(_environment.get_template(template).module, macro)(*arguments)
    return made


def compile_templates() -> None:
    """Compile every template, so that who looks first does not wait for it."""
    for name in _environment.list_templates():
        _environment.get_template(name)


def amount(value: float) -> str:
    """Return a number for people: three digits that mean something, thousands apart by commas."""
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 1:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.005 else "< 0.01"


def said(message: str) -> Markup:
    """Return a message as HTML: what it says to type, in backticks, is code. The rest is text, and is escaped.

    An option that the text names as its last hint (`say so, --baseline 5%`) is left out: a page has a field for it.
    """
    parts = message.split("`")
    if len(parts) % 2 == 0:  # a backtick that has no other one
        return Markup.escape(message)
    made = (
        Markup("<code>{}</code>").format(each) if place % 2 else _OPTION.sub("", each)
        for place, each in enumerate(parts)
    )
    return Markup().join(made)


def memory(count_bytes: int) -> str:
    """Return an amount of memory for people, in MB or GB of 1000s."""
    megabytes = count_bytes / 1e6
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{amount(megabytes)} MB"


def duration(seconds: float) -> str:
    """Return how long something has gone on for people, in its largest unit, such as `3 min`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _plain_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _made() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "amount": amount,
        "percent": percent,
        "utc": _utc,
        "plain_time": _plain_time,
        "kind": lambda state: KINDS[state],
        "legible": legible,
        "in_a_line": in_a_line,
        "memory": memory,
        "said": said,
        "told": Told.of,
        "duration": duration,
        "json": json.dumps,
        "from_iso": datetime.fromisoformat,
        "from_milliseconds": lambda at: datetime.fromtimestamp(at / 1000, UTC),
    }
    made.globals |= {
        "version": __version__,
        "sparkline": sparkline,
        "csrf_name": CSRF_FIELD,
        "findings": findings_of,
        "foremost": foremost_of,
    }
    return made


_environment = _made()
