"""The bodies of the API: from the domain to JSON and back."""

from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import BaseModel, ValidationError

from balancer import wire
from balancer.domain.declaration import declared
from balancer.domain.metric import MetricName
from balancer.domain.release import InstanceState, ProcessId, ReleaseState
from balancer.domain.split import Brief
from balancer.errors import AppNotFound, InvalidName, InvalidWeights
from balancer.services.metrics import Origin, Standing
from balancer.wire.apps import AppBody, ConfigChange
from balancer.wire.body import Body, ErrorBody
from balancer.wire.instances import InstanceBody
from balancer.wire.metrics import MetricStanding
from balancer.wire.releases import Progress, ReleaseBody
from balancer.wire.splits import SplitBody, WeightsBody
from values import START, app, instance, release, split

PROCESS = ProcessId(boot_id="b", pid=4711, start_ticks=1)

REVENUE = declared("revenue", {"kind": "sum", "event": "purchase", "cap": 500})
BRIEF = Brief(metrics=(REVENUE,), metric=MetricName("revenue"), decide_at=START, aa=True)
SPLIT = replace(split({"master": 5000, "test": 5000}), brief=BRIEF)


def bodies() -> list[Body]:
    """Return one of each that is made of the domain."""
    failed = release(3, state=ReleaseState.FAILED, reason="it broke")
    return [
        AppBody.of(app(domains=("shop.example",)), ["http://shop.localhost/"]),
        ReleaseBody.of(release(1)),
        ReleaseBody.of(failed),
        InstanceBody.of(instance(7, 1, process=PROCESS), release(1), running=True),
        InstanceBody.of(instance(7, 1, InstanceState.STARTING), release(1), running=False),
        SplitBody.of(split({"master": 5000, "test": 5000}, {"master": 9999, "test": 1})),
        SplitBody.of(SPLIT),
        MetricStanding.standing(Standing(origin=Origin.COMMAND, metric=REVENUE, split=SPLIT)),
        ErrorBody.of(AppNotFound("none")),
        Progress(release=ReleaseBody.of(release(1))),
        Progress(line="-----> Live"),
    ]


@pytest.mark.parametrize("body", bodies())
def test_a_body_comes_back_from_json_as_it_was(body: Body) -> None:
    assert type(body).model_validate_json(body.model_dump_json()) == body


@pytest.mark.parametrize("body", bodies())
def test_an_unknown_key_is_an_error(body: Body) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        type(body).model_validate({**body.model_dump(), "xyzzy": 1})


def test_every_body_refuses_unknown_keys() -> None:
    kinds = [kind for kind in vars(wire).values() if isinstance(kind, type) and issubclass(kind, BaseModel)]
    assert all(kind.model_config.get("extra") == "forbid" for kind in kinds if kind is not BaseModel)


def test_times_are_iso_8601_in_utc() -> None:
    assert '"created_at":"2026-03-01T12:00:00Z"' in ReleaseBody.of(release(1)).model_dump_json()


def test_states_and_names_are_plain_texts() -> None:
    found = ReleaseBody.of(release(1, "feat/x", state=ReleaseState.DRAINING)).model_dump()
    assert (found["state"], found["branch"], found["created_at"]) == ("draining", "feat/x", START)
    assert type(InstanceBody.of(instance(7, 1), release(1), running=True).name) is str


def test_an_instance_that_was_never_started_has_no_pid() -> None:
    found = InstanceBody.of(instance(7, 1), release(1), running=False)
    assert (found.pid, found.name, found.port) == (None, "r1-i7", 20007)
    assert InstanceBody.of(replace(instance(7, 1), process=PROCESS), release(1), running=True).pid == 4711


def test_weights_are_percentages() -> None:
    found = SplitBody.of(split({"master": 9999, "test": 1}))
    assert found.phases[0].weights == {"master": 99.99, "test": 0.01}


@pytest.mark.parametrize(
    ("weights", "units"),
    [
        ('{"master": 50, "test": 50}', {"master": 5000, "test": 5000}),
        ('{"test": 0.01, "master": 99.99}', {"test": 1, "master": 9999}),
        ('{"a": "33.33", "b": "33.33", "c": "33.34"}', {"a": 3333, "b": 3333, "c": 3334}),
    ],
)
def test_weights_of_a_request_are_parsed_in_their_order_and_without_rounding(
    weights: str, units: dict[str, int]
) -> None:
    found = WeightsBody.model_validate_json(f'{{"weights": {weights}}}').parsed()
    assert list(found.items()) == list(units.items())


def test_weights_of_a_request_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidWeights, match="add up to 99 %"):
        WeightsBody(weights={"master": Decimal(50), "test": Decimal(49)}).parsed()
    with pytest.raises(InvalidName):
        WeightsBody(weights={"../x": Decimal(50), "test": Decimal(50)}).parsed()


def test_config_vars_of_a_request_are_parsed() -> None:
    assert ConfigChange(config={"A": "1", "B": None}).parsed() == {"A": "1", "B": None}
    with pytest.raises(InvalidName, match="is no name for a config var"):
        ConfigChange(config={"A B": None}).parsed()


def test_an_error_is_named_by_its_code() -> None:
    body = ErrorBody.of(AppNotFound("none"))
    assert (body.error, body.message) == ("app-not-found", str(AppNotFound("none")))
