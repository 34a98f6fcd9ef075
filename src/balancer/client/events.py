"""Events and metrics: sent, brought in and out, erased, counted."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from balancer.client.paths import app_part, query_of
from balancer.connection import Connection
from balancer.domain.event import VisitorId
from balancer.domain.metric import MetricName
from balancer.wire.event_rows import ErasedBody, EventRowBody
from balancer.wire.events import AcceptedBody, SentEventBody, SentEventsBody
from balancer.wire.metrics import MetricBody, MetricStanding

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.event_rows import ImportedRows
    from balancer.services.raw_stats import RawStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The rows of an app, as a file that is being sent."""

    rows: int
    size: int
    """In bytes."""
    chunks: Iterator[bytes]


class EventCalls(Connection):
    """What can be asked of events and metrics."""

    def send_events(self, app: str, events: Sequence[SentEventBody]) -> AcceptedBody:
        """Send a batch of events, and return what became of it when it is on the platform's disk."""
        return self._call(AcceptedBody, "POST", f"/api/apps/{app_part(app)}/events", SentEventsBody([*events]))

    def events(self, app: str, *, event: str | None = None, lines: int, follow: bool) -> Iterator[EventRowBody]:
        """Give the newest events and exposures of an app; with `follow` without end."""
        query = query_of({"lines": lines, "follow": follow, "event": event})
        return self._stream(EventRowBody, "GET", f"/api/apps/{app_part(app)}/events{query}", None)

    @contextlib.contextmanager
    def export_events(
        self, app: str, form: str, *, since: str | None = None, until: str | None = None
    ) -> Iterator[Export]:
        """Give every row of an app as `parquet`, `csv` or `ndjson`."""
        asked = {"format": str(form), "from": since, "to": until}
        with self._download(f"/api/apps/{app_part(app)}/events/export{query_of(asked)}") as answer:
            yield Export(
                rows=int(answer.headers["Balancer-Rows"]),
                size=int(answer.headers["Content-Length"]),
                chunks=answer.iter_raw(),
            )

    def import_events(self, app: str, lines: bytes, *, name: str, first: int) -> "ImportedRows":
        """Bring in rows, a JSON object a line, the row `first` and those that follow of the import `name`."""
        from balancer.services.event_rows import ImportedRows

        query = query_of({"import": name, "first": first})
        return self._call(ImportedRows, "POST", f"/api/apps/{app_part(app)}/events/import{query}", lines)

    def erase_visitor(self, app: str | None, visitor: str) -> ErasedBody:
        """Take a visitor out of the ledger, of one app or of all."""
        path = "/api" if app is None else f"/api/apps/{app_part(app)}"
        return self._call(ErasedBody, "DELETE", f"{path}/visitors/{VisitorId(visitor)}")

    def raw_stats(
        self,
        app: str,
        *,
        by: str | None = None,
        event: str | None = None,
        split: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> "RawStatistics":
        """Count the events of an app, by `hour`, `day`, `week` or `month`, or over all; dates are of its time zone."""
        from balancer.services.raw_stats import RawStatistics

        asked = {"by": by, "event": event, "split": split, "from": since, "to": until}
        return self._call(RawStatistics, "GET", f"/api/apps/{app_part(app)}/stats{query_of(asked)}")

    def metrics(self, app: str) -> list[MetricStanding]:
        """List every metric of an app, by name."""
        return self._call(list[MetricStanding], "GET", f"/api/apps/{app_part(app)}/metrics")

    def metric(self, app: str, name: str) -> MetricStanding:
        """Return one metric."""
        return self._call(MetricStanding, "GET", f"/api/apps/{app_part(app)}/metrics/{MetricName(name)}")

    def set_metric(self, app: str, name: str, body: MetricBody) -> MetricStanding:
        """Declare a metric; it counts from the next split on."""
        return self._call(MetricStanding, "PUT", f"/api/apps/{app_part(app)}/metrics/{MetricName(name)}", body)

    def remove_metric(self, app: str, name: str) -> None:
        """Take a metric back that was declared so."""
        self._send("DELETE", f"/api/apps/{app_part(app)}/metrics/{MetricName(name)}")
