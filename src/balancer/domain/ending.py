"""Ending: what the end of a split does to its visitors, their cookies and its report, told before it ends.

Invariant: what is told is what the proxy and the platform do, whatever the report says.
"""

from collections.abc import Sequence

from balancer.domain.app import App, BranchName
from balancer.domain.split import Split


def split_ends(split: Split, app: App, winner: BranchName | None) -> list[str]:
    """Return sentences that say what happens when a split ends with this winner; None: with none."""
    seen = winner or app.served_branch
    moving = [branch for branch in split.variants if branch != seen]
    then = f"Who has {_listed(moving)} moves there with their next request." if moving else ""
    if winner is None:
        said = [f"No branch wins: everyone sees {seen}, as outside a split. {then}"]
    else:
        said = [f"Everyone sees {winner}. {then}"]
        if winner != app.default_branch:
            said += [
                f"The release of {winner} becomes that of {app.default_branch}, where git can do so without a merge; "
                f"until then visitors see {winner} in its place.",
                "`Go back` leads back to the release before.",
            ]
    said += [
        "Nobody is counted any more. The report stays as it is at that moment, to be read for good.",
        "Cookies stay: a visitor keeps their number, and the next split gives everybody a branch anew.",
    ]
    made = split.brief.made
    if kept := [branch for branch in moving if branch not in (made, app.default_branch)]:
        stay = "stays live at its own address" if len(kept) == 1 else "stay live at their own addresses"
        said.append(f"{_listed(kept, 'and')} {stay}.")
    if made is not None and made != seen:
        said.append(f"{made} was made for the split, and goes with it.")
    return [each.strip() for each in said]


def _listed(branches: Sequence[BranchName], word: str = "or") -> str:
    return branches[0] if len(branches) == 1 else f"{', '.join(branches[:-1])} {word} {branches[-1]}"
