"""Known metrics: what is to decide a split has to be something that was declared, or was seen before.

Invariants:
    * A name that is neither declared nor that of an event that the app has had, or declares, decides nothing: it would
      be waited for for ever. Declaring it is how one says that it is yet to come.
    * Where the ledger does not answer nobody knows what was seen, and nothing is refused.

Used by all that begins a split: by command, by a push, as a rollout or a bandit.
"""

import asyncio
import difflib
from collections.abc import Iterable
from typing import Protocol

from balancer import logs
from balancer.domain.app import AppName
from balancer.domain.metric import Metric, MetricName, Role
from balancer.errors import LedgerUnavailable, MetricNotFound
from balancer.services.metrics import Metrics
from balancer.stats.cells import EventNames

log = logs.named("metrics")
# 5 s: as long as somebody who begins a split may wait to hear of a typing error.
_PATIENCE_SECONDS = 5.0
# Three: more are no help to who has mistyped one.
_NEAR = 3


class Names(Protocol):
    """What is asked of the ledger here."""

    async def names(self, app: str) -> EventNames:
        """Return the names of an app's events. Raises LedgerUnavailable."""


class KnownMetrics:
    """Tells whether what is to decide a split can."""

    def __init__(self, metrics: Metrics, ledger: Names) -> None:
        self._metrics = metrics
        self._ledger = ledger

    async def declared(
        self, app: AppName, deciding: MetricName | None = None, pushed: Iterable[Metric] = ()
    ) -> tuple[Metric, ...]:
        """Return every metric of an app as it is declared now; `deciding` is known.

        `pushed` are those of a manifest that is not what visitors see yet: their events are announced by it, though it
        is not what declares them. Raises MetricNotFound, AppNotFound, InvalidMetric.
        """
        found = await self._metrics.declared(app)
        if deciding is None or deciding in {metric.name for metric in found}:
            return found
        announced = events_of((*found, *pushed))
        if deciding in announced:
            return found
        seen = await self._seen(app)
        if seen is None or deciding in seen:
            return found
        names = {metric.name for metric in found} | announced | seen
        near = difflib.get_close_matches(deciding, map(str, names), _NEAR)
        raise MetricNotFound(_said(app, deciding, near, in_push=deciding in {metric.name for metric in pushed}))

    async def unseen_guardrails(self, app: AppName) -> tuple[str, ...]:
        """Return what is to be said of guardrails that count events of which none has ever come. Raises AppNotFound."""
        guardrails = guardrails_of(await self._metrics.declared(app))
        seen = await self._seen(app) if guardrails else None
        return () if seen is None else unseen(guardrails, seen)

    async def _seen(self, app: AppName) -> frozenset[str] | None:
        """Return the names of the events that an app has had; None where nobody knows."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                names = await self._ledger.names(str(app))
        except (LedgerUnavailable, TimeoutError) as reason:
            log.warning("metric.unchecked", app=app, reason=str(reason) or "no answer in time")
            return None
        return names_of(names)


def names_of(names: EventNames) -> frozenset[str]:
    """Return the names alone."""
    return frozenset(each.event for each in names.names)


def guardrails_of(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Return those that must not get worse."""
    return tuple(metric for metric in metrics if metric.role is Role.GUARDRAIL)


def unseen(guardrails: Iterable[Metric], seen: frozenset[str]) -> tuple[str, ...]:
    """Return what is to be said of guardrails that count events of which none is among those `seen`."""
    return tuple(
        f"the guardrail {metric.name} counts {event}, of which none was ever seen"
        + (f" ({' or '.join(near)} was)" if (near := difflib.get_close_matches(event, seen, _NEAR)) else "")
        + ": until one comes it stops nothing"
        for metric in guardrails
        for event in sorted(events_of([metric]) - seen)
    )


def events_of(metrics: Iterable[Metric]) -> frozenset[str]:
    """Return the events that metrics count, but for the platform's own."""
    return frozenset(event for metric in metrics for event in metric.events if not event.startswith("$"))


def _said(app: AppName, name: MetricName, near: list[str], *, in_push: bool) -> str:
    text = f"{app} has no metric {name}, and no event of that name was ever seen"
    if near:
        text += f" (did you mean {' or '.join(near)}?)"
    if in_push:
        text += (
            "; what is pushed declares it, but the metrics of what is live on the default branch are those that count"
        )
    return (
        f"{text}: if it is yet to come, declare it (in balancer.toml, or with `balancer metrics set {app} {name} "
        "--kind converted --event EVENT`), and try again"
    )
