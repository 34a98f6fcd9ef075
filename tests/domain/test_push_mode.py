"""What a push does with its release: written, read, and kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.app import BranchName
from balancer.domain.push_mode import INSTANT, Mode, PushMode, check_pushed, declared, option, parsed, written
from balancer.domain.rollout import DEFAULT_STEPS, Goal, Plan
from balancer.domain.split import CANARY
from balancer.errors import Conflict, InvalidInput, InvalidManifest

plans = st.builds(
    Plan,
    steps=st.lists(st.integers(1, 9999), min_size=1, max_size=20, unique=True).map(sorted).map(tuple),
    metric=st.none() | st.just("purchase"),
    goal=st.sampled_from(Goal),
    margin=st.integers(1, 9999).map(lambda units: units / 10_000),
    auto_promote=st.booleans(),
    step_seconds=st.integers(0, 30 * 86_400),
    hours=st.sampled_from([None, "Mon-Fri 09:00-17:00"]),
)


@given(st.builds(PushMode, mode=st.sampled_from([Mode.CANARY, Mode.EXPERIMENT]), plan=plans))
def test_what_is_written_is_read_back(mode: PushMode) -> None:
    assert parsed(written(mode)) == mode


def test_a_word_is_enough() -> None:
    assert parsed("none") == parsed({"mode": "none"}) == INSTANT
    canary, experiment = parsed("canary").plan, parsed("experiment").plan
    assert canary == Plan(steps=DEFAULT_STEPS, step_seconds=120, auto_promote=True)
    assert experiment == Plan(steps=(5000,), auto_promote=False)
    assert parsed("canary") == parsed({"mode": "canary"})


def test_a_table_says_the_rest() -> None:
    table = {
        "mode": "canary",
        "steps": [0.5, "20%", 100],
        "step_time": "0s",
        "metric": "purchase",
        "goal": "non-inferiority",
        "margin": "3%",
        "auto_promote": False,
        "hours": "mon-fri 09:00-17:00",
    }
    assert parsed(table).plan == Plan(
        steps=(50, 2000, 10_000),
        step_seconds=0,
        metric="purchase",
        goal=Goal.NOT_WORSE,
        margin=0.03,
        hours="Mon-Fri 09:00-17:00",
    )


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ("blue", 'rollout: mode = "blue": there are none, canary, experiment'),
        (True, "rollout = true must be one of none, canary, experiment, or a table"),
        (["canary"], "rollout = "),
        ({}, "rollout: it has no `mode`: there are none, canary, experiment"),
        ({"mode": None}, "rollout: mode = null"),
        ({"mode": ["canary"]}, "rollout: mode = "),
        ({"mode": "canary", "step": [1]}, "rollout: nothing is called 'step'; there are mode, steps"),
        ({"mode": "none", "steps": [1]}, "rollout: `none` switches at once"),
        ({"mode": "canary", "steps": 5}, "rollout: steps = 5 must be a list of percentages"),
        ({"mode": "canary", "steps": [True]}, "rollout: step = true must be a percentage"),
        ({"mode": "canary", "steps": [50, 10]}, "rollout: the steps must grow"),
        ({"mode": "canary", "steps": [float("nan")]}, "rollout: the step, 'nan', is no number"),
        ({"mode": "canary", "step_time": 60}, "rollout: step_time = 60 must be a text"),
        ({"mode": "canary", "step_time": "2 minutes"}, "rollout: '2 minutes' is no duration"),
        ({"mode": "canary", "step_time": "60d"}, "rollout: a step lasts at most 30 days"),
        ({"mode": "canary", "goal": "best"}, 'rollout: goal = "best": there are superiority, non-inferiority'),
        ({"mode": "canary", "margin": "200%"}, "rollout: the margin is 200%"),
        ({"mode": "canary", "margin": 0}, "rollout: the margin must lie between"),
        ({"mode": "canary", "metric": 7}, "rollout: metric = 7 must be a text"),
        ({"mode": "canary", "metric": "no metric"}, "rollout: "),
        ({"mode": "canary", "auto_promote": "yes"}, 'rollout: auto_promote = "yes" must be true or false'),
    ],
)
def test_what_does_not_hold_is_refused_by_its_key(said: object, match: str) -> None:
    with pytest.raises(InvalidManifest) as refused:
        parsed(said)
    assert str(refused.value).startswith(match)


def test_a_goal_that_nothing_can_show_is_refused_when_it_is_pushed_and_read_where_it_is_kept() -> None:
    said = {"mode": "canary", "goal": "non-inferiority"}
    assert written(parsed(said))["goal"] == "non-inferiority"
    with pytest.raises(InvalidManifest, match="rollout: non-inferiority is shown by a metric"):
        declared(said)
    assert declared(said | {"metric": "purchase"}) == parsed(said | {"metric": "purchase"})
    assert declared(said | {"mode": "experiment"}).mode is Mode.EXPERIMENT  # it may have the metric of the app


@pytest.mark.parametrize("margin", [2, 0.02, "2", "0.02"])
def test_a_margin_without_its_unit_is_refused_when_it_is_pushed_and_read_where_it_is_kept(margin: object) -> None:
    said = {"mode": "canary", "margin": margin}
    with pytest.raises(InvalidManifest) as refused:
        declared(said)
    assert str(refused.value).startswith("rollout: the margin ")
    assert str(refused.value).endswith('has no unit: write it as a percentage, such as 2%, in quotes: margin = "2%"')
    kept = parsed(said | {"margin": " 7%"})
    assert parsed(written(kept)) == kept == declared(said | {"margin": "7 %"})


def test_an_instant_switch_has_no_plan_and_the_others_have_one() -> None:
    with pytest.raises(InvalidManifest):
        PushMode(mode=Mode.NONE, plan=Plan())
    with pytest.raises(InvalidManifest):
        PushMode(mode=Mode.CANARY)


def test_a_canary_is_of_the_default_branch_and_an_experiment_of_another() -> None:
    canary, experiment = parsed("canary"), parsed("experiment")
    assert (canary.on(default=True), canary.on(default=False)) == (canary, INSTANT)
    assert (experiment.on(default=True), experiment.on(default=False)) == (INSTANT, experiment)
    assert INSTANT.on(default=True) == INSTANT.on(default=False) == INSTANT


def test_a_push_can_ask_to_switch_at_once_and_for_nothing_else() -> None:
    assert option("rollout=none") is Mode.NONE
    for text in ("ci.skip", "", "rollouts=none"):
        with pytest.raises(InvalidInput, match="there is no push option"):
            option(text)
    for text in ("rollout=canary", "rollout", "rollout="):
        with pytest.raises(InvalidInput, match=f"the push option '{text}' cannot be: rollout=none switches at once"):
            option(text)


def test_the_name_of_canaries_cannot_be_pushed() -> None:
    check_pushed(BranchName("canary-2"))
    with pytest.raises(Conflict, match="give your branch another name"):
        check_pushed(CANARY)
