"""What speaks against ending a split now: that nothing is decided yet, or that something else is."""

from collections.abc import Iterator

from balancer.domain.app import BranchName
from balancer.domain.split import Split
from balancer.stats.verdict import SplitVerdict, Verdict

_UNDECIDED = frozenset({Verdict.KEEP_RUNNING, Verdict.NOT_ENOUGH_DATA})


def against_ending(split: Split, verdict: SplitVerdict | None, *, hidden: bool) -> tuple[str, ...]:
    """Return warnings to who wants to end a split; `verdict` is None where nobody knows it just now.

    `hidden`: it is to be decided on a date that has not come.
    """
    return tuple(_against_ending(split, verdict, hidden=hidden))


def _against_ending(split: Split, verdict: SplitVerdict | None, *, hidden: bool) -> Iterator[str]:
    if hidden and split.brief.decide_at is not None:
        yield (
            f"It is to be decided on {split.brief.decide_at:%Y-%m-%d %H:%M %Z}. Ended before that, its result is never "
            "shown."
        )
    elif verdict is None:
        yield "The ledger does not say just now whether there is a verdict: look again before you end it by figures."
    elif verdict.verdict is Verdict.BROKEN_SPLIT:
        yield "The sample ratio alarms: no difference between the branches can be read, and no winner found in it."
    elif split.brief.metric is None:
        yield "No metric decides this split, so that there is no verdict: what looks better may be chance."
    elif verdict.verdict in _UNDECIDED:
        yield (
            "There is no verdict yet. What looks better early is often chance: who looks every day and stops when it "
            "looks good is wrong about one time in five where nothing differs. To know, let it run; end it now for "
            "another reason than its figures."
        )


def against_winner(split: Split, verdict: SplitVerdict | None, winner: BranchName | None) -> tuple[str, ...]:
    """Return warnings to who wants to end a split with this winner, or with none, against its verdict."""
    if verdict is None:
        return ()
    seen = winner or split.control
    if verdict.verdict is Verdict.SHIP and verdict.variant != seen:
        what = f"everybody is to see {winner}" if winner else "no branch is to win"
        return (f"The verdict is to ship {verdict.variant}: {verdict.reason}. Here {what}.",)
    if verdict.verdict is Verdict.ROLL_BACK and seen != split.control:
        return (f"The verdict is to roll back: {verdict.reason}. Here everybody is to see {winner}.",)
    return ()
