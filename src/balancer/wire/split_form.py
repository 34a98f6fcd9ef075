"""The form that begins a split: its fields, and the split that they ask for.

A branch takes part whose box is checked. Its weight may be left empty: those that are share evenly what the others
leave. One branch alone, with the word that nothing is to differ, asks for a twin of it.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from balancer.domain.app import BranchName
from balancer.domain.audience import COUNTRY_HEADER, parse_header
from balancer.domain.weights import check_weights, parse_percent, share_rest
from balancer.errors import InvalidInput
from balancer.wire.splits import BriefBody, HeaderBody, NewSplit, NewTwin

BRANCH, WEIGHT = "branch:", "weight:"
"""What the fields of a branch begin with; the branch follows."""
PLAIN = (
    *("control", "metric", "title", "hypothesis", "decide_at", "path", "held_out"),
    *("aa", "countries", "country_header", "headers"),
)
"""The other fields."""


def fields_of(form: Mapping[str, str]) -> dict[str, str]:
    """Return those of the fields of a form that are of a new split."""
    return {name: text for name, text in form.items() if name in PLAIN or name.startswith((BRANCH, WEIGHT))}


def new_split(form: Mapping[str, str]) -> NewSplit | NewTwin:
    """Return the split that a form asks for. Raises InvalidInput, InvalidName, InvalidSplit, InvalidWeights."""
    branches = [BranchName(name.removeprefix(BRANCH)) for name in form if name.startswith(BRANCH)]
    said = {branch: _weight(branch, form.get(f"{WEIGHT}{branch}", "")) for branch in branches}
    if len(said) == 1 and form.get("aa"):
        return NewTwin(control=str(branches[0]), brief=_brief(form))
    if len(said) < 2:
        raise InvalidInput("check two branches at least: visitors are shared between them")
    weights = share_rest(said)
    check_weights(weights)
    return NewSplit(
        weights={str(branch): Decimal(weight) / 100 for branch, weight in weights.items()},
        control=form.get("control", "").strip() or None,
        brief=_brief(form),
    )


def _brief(form: Mapping[str, str]) -> BriefBody:
    given = {name: form.get(name, "").strip() or None for name in PLAIN}
    held_out = parse_percent(given["held_out"] or "0", "part that is left alone")
    return BriefBody(
        name=given["title"],
        hypothesis=given["hypothesis"],
        metric=given["metric"],
        aa=given["aa"] is not None,
        decide_at=_moment(given["decide_at"]) if given["decide_at"] else None,
        path=given["path"],
        headers=_headers(given),
        held_out=Decimal(held_out) / 100,
    )


def _headers(given: Mapping[str, str | None]) -> list[HeaderBody]:
    """Return what headers have to say: one condition a line, and countries by the header that tells them."""
    lines = [line for line in (given["headers"] or "").splitlines() if line.strip()]
    found = [HeaderBody(name=each.name, values=list(each.values)) for each in map(parse_header, lines)]
    if countries := (given["countries"] or "").replace(",", " ").split():
        found.append(HeaderBody(name=given["country_header"] or COUNTRY_HEADER, values=countries))
    return found


def _weight(branch: BranchName, text: str) -> int | None:
    return parse_percent(text, f"weight of {branch}") if text.strip() else None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)  # without an offset it is in the app's time zone
    except ValueError as reason:
        raise InvalidInput(f"{text[:60]!r} is no date: write it such as 2026-12-24") from reason
