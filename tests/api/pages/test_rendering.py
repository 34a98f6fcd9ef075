"""Templates, made into parts of pages."""

from types import SimpleNamespace

from balancer.api.pages.rendering import fragment


def test_what_a_reason_says_to_type_is_code_and_the_rest_is_text() -> None:
    rollout = SimpleNamespace(
        state=SimpleNamespace(value="running"), step=2, plan=SimpleNamespace(steps=(1, 2, 3)), branch="test", weight=100
    )
    action = SimpleNamespace(reason="all steps are done; `balancer rollout promote` makes it <b>live</b>")
    made = fragment("standing.html", "rollout", SimpleNamespace(rollout=rollout, action=action))
    assert "<code>balancer rollout promote</code> makes it &lt;b&gt;live&lt;/b&gt;" in made
