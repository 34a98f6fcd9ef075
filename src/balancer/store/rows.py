"""Rows of the registry as values of the domain.

Invariant: what is restored goes through the constructors of new values, so nothing illegal comes back.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from balancer.domain import push_mode
from balancer.domain.app import App, AppMode, AppName, BranchName, Commit, ConfigKey, ConfigValue, Domain, PreviewKey
from balancer.domain.audience import Audience, HeaderCondition, HeaderName
from balancer.domain.declaration import declared, written
from balancer.domain.manifest import CronJob, Manifest, Privacy, ProcessType, Source
from balancer.domain.metric import Metric, MetricName
from balancer.domain.release import Instance, InstanceState, ProcessId, Release, ReleaseState
from balancer.domain.split import Brief, Phase, Split, SplitId, SplitState

AnyRow = Row[Any]


def app(row: AnyRow, domains: Iterable[AnyRow]) -> App:
    """Return the app of `row`, `domains` being its rows in order."""
    return App(
        name=AppName(row.name),
        default_branch=None if row.default_branch is None else BranchName(row.default_branch),
        domains=tuple(Domain(domain.host) for domain in domains),
        created_at=row.created_at,
        mode=AppMode(row.mode),
        promoted=None if row.promoted is None else BranchName(row.promoted),
        preview_key=None if row.preview_key is None else PreviewKey(row.preview_key),
    )


def release(row: AnyRow) -> Release:
    """Return the release of `row`."""
    return Release(
        id=row.id,
        app=AppName(row.app),
        branch=BranchName(row.branch),
        number=row.number,
        commit=Commit(row.commit),
        tree=row.tree,
        state=ReleaseState(row.state),
        manifest=None if row.manifest is None else manifest(row.manifest),
        subject=row.subject,
        author=row.author,
        created_at=row.created_at,
        activated_at=row.activated_at,
        reason=row.reason,
    )


def instance(row: AnyRow) -> Instance:
    """Return the instance of `row`."""
    return Instance(
        id=row.id,
        release_id=row.release_id,
        index=row.idx,
        port=row.port,
        state=InstanceState(row.state),
        process=None if row.pid is None else ProcessId(boot_id=row.boot_id, pid=row.pid, start_ticks=row.start_ticks),
        draining_since=row.draining_since,
        standby_since=row.standby_since,
        type=ProcessType(row.type),
        host=row.host,
    )


def split(row: AnyRow, phases: Iterable[AnyRow]) -> Split:
    """Return the split of `row`, `phases` being its rows in order."""
    return Split(
        id=SplitId(f"s{row.id}"),
        app=AppName(row.app),
        control=BranchName(row.control),
        phases=tuple(
            Phase(number=phase.number, weights=weights(phase.weights), started_at=phase.started_at) for phase in phases
        ),
        state=SplitState(row.state),
        ended_at=row.ended_at,
        expected_visitors=row.expected_visitors,
        brief=brief(row.brief),
        winner=None if row.winner is None else BranchName(row.winner),
    )


def brief(text: str) -> Brief:
    """Return the brief that `brief_text` wrote."""
    fields = json.loads(text)
    audience = fields.get("audience", {})
    metric, decide_at, twin, canary = (fields.get(key) for key in ("metric", "decide_at", "twin", "canary"))
    return Brief(
        name=fields.get("name"),
        hypothesis=fields.get("hypothesis"),
        metrics=metrics(fields.get("metrics", ())),
        metric=None if metric is None else MetricName(metric),
        aa=fields.get("aa", False),
        twin=None if twin is None else BranchName(twin),
        canary=None if canary is None else BranchName(canary),
        decide_at=None if decide_at is None else datetime.fromisoformat(decide_at),
        audience=Audience(
            path=audience.get("path"),
            headers=tuple(
                HeaderCondition(name=HeaderName(each["name"]), values=tuple(each["values"]))
                for each in audience.get("headers", ())
            ),
        ),
        bandit=fields.get("bandit", False),
        rollout=fields.get("rollout", False),
        held_out=fields.get("held_out", 0),
    )


def brief_text(value: Brief) -> str:
    """Return a brief as JSON."""
    decide_at = None if value.decide_at is None else value.decide_at.isoformat()
    return json.dumps(asdict(value) | {"metrics": metrics_plain(value.metrics), "decide_at": decide_at})


def metric(name: str, text: str) -> Metric:
    """Return the metric that `metric_text` wrote."""
    return declared(name, json.loads(text))


def metric_text(value: Metric) -> str:
    """Return what declares a metric as JSON; its name is not in it."""
    return json.dumps(written(value))


def metrics(plain: Iterable[Mapping[str, Any]]) -> tuple[Metric, ...]:
    """Return the metrics that `metrics_plain` gave."""
    return tuple(declared(each["name"], {key: each[key] for key in each if key != "name"}) for each in plain)


def metrics_plain(values: Iterable[Metric]) -> list[dict[str, object]]:
    """Return metrics as JSON can carry them, each with its name."""
    return [{"name": str(value.name), **written(value)} for value in values]


def manifest(text: str) -> Manifest:
    """Return the manifest that `manifest_text` wrote."""
    fields = json.loads(text)
    fields["source"] = Source(fields["source"])
    fields["processes"] = {ProcessType(name): command for name, command in fields["processes"].items()}
    fields["env"] = {ConfigKey(key): ConfigValue(value) for key, value in fields["env"].items()}
    fields["required"] = tuple(map(ConfigKey, fields.get("required", ())))
    fields["secrets"] = tuple(map(ConfigKey, fields.get("secrets", ())))
    fields["formation"] = {ProcessType(name): count for name, count in fields["formation"].items()}
    fields["cron"] = tuple(CronJob(**job) for job in fields["cron"])
    fields["domains"] = tuple(Domain(domain) for domain in fields["domains"])
    fields["privacy"] = Privacy(**fields.get("privacy", {}))
    fields["metrics"] = metrics(fields.get("metrics", ()))
    fields["rollout"] = push_mode.parsed(fields.get("rollout", "none"))
    return Manifest(**fields)


def manifest_text(value: Manifest) -> str:
    """Return a manifest as JSON."""
    rollout = push_mode.written(value.rollout)
    plain = {"source": value.source.value, "metrics": metrics_plain(value.metrics), "rollout": rollout}
    return json.dumps(asdict(value) | plain)


def weights(text: str) -> dict[BranchName, int]:
    """Return the weights that `weights_text` wrote, in their order."""
    return {BranchName(branch): weight for branch, weight in json.loads(text).items()}


def weights_text(value: Mapping[BranchName, int]) -> str:
    """Return weights as JSON, in their order."""
    return json.dumps(dict(value))
