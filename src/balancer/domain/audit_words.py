"""What an entry of the audit log says in words: `Rolled back shop master to release 7`.

Invariants:
    * What was not done is not said to be: `Tried to roll back shop`.
    * Of what an entry says nothing is lost: what the words leave out is left as it stands.

`ACTS` is the one place where an act of the log, a route above all, is given its words: a test fails for a route that
has none. Words are made on reading, so that entries of years ago have them too. Read by the pages and the command.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from balancer.domain.audit import BEGUN, DONE, AuditEntry

# A part of the words that is there only where what it names was sent, such as `[ to release {release}]`.
_OPTIONAL = re.compile(r"\[([^\]]*)\]")
_NAMED = re.compile(r"{([a-z_]+)}")
# What the summary of an entry says of itself, in the order in which it does; other words are free text, and all behind
# them may be: a reason, or the name that somebody gave a split.
_KEYS = frozenset(
    {
        *("aa", "branch", "branches", "command", "commit", "control", "delete", "during_freeze", "event", "events"),
        *("formation", "fresh", "hours", "import", "kind", "later", "metric", "mode", "name", "number", "process"),
        *("ref", "release", "role", "set", "target", "to", "unset", "url", "weights", "window", "winner", "freeze"),
    }
)


@dataclass(frozen=True, slots=True)
class Act:
    """How an act is called: what somebody wants to do, what somebody did, and to what."""

    do: str
    did: str
    what: str
    """With what was sent in braces; in brackets what may be missing."""


ACTS: Mapping[str, Act] = {
    # Apps.
    "POST /api/apps": Act("create", "created", "{app}"),
    "DELETE /api/apps/{app}": Act("delete", "deleted", "{app}"),
    "PUT /api/apps/{app}/previews": Act("look at", "looked at", "the preview links of {app}"),
    "PUT /api/apps/{app}/default-branch": Act("make", "made", "[{branch} ]the default branch of {app}"),
    "DELETE /api/apps/{app}/branches/{branch:path}": Act("take down", "took down", "{app}[ {branch}]"),
    "PATCH /api/apps/{app}/config": Act("change", "changed", "config vars of {app}"),
    "GET /api/apps/{app}/config": Act("look at", "looked at", "the config vars of {app}"),
    "PATCH /api/apps/{app}/formation": Act("scale", "scaled", "{app}[ to {formation}]"),
    "POST /api/apps/{app}/restart": Act("restart", "restarted", "{app}[ {branch}][ {process}]"),
    "POST /api/apps/{app}/stop": Act("stop", "stopped", "{app}"),
    "POST /api/apps/{app}/start": Act("start", "started", "{app}"),
    "PUT /api/apps/{app}/mode": Act("set", "set", "the mode of {app}[ to {mode}]"),
    "POST /api/apps/{app}/runs": Act("run", "ran", "a command in {app}[ {branch}][: {command}]"),
    # Code.
    "git push": Act("push", "pushed", "{app}[ {ref}][ at {commit}]"),
    "git push, delete": Act("delete", "deleted", "{app}[ {ref}] by a push"),
    "POST /api/apps/{app}/deploys/archive": Act("deploy", "deployed", "an archive to {app}[ {branch}]"),
    "POST /api/apps/{app}/deploys/fetch": Act("deploy", "deployed", "{app}[ {branch}][ from {url}]"),
    "DELETE /api/apps/{app}/deploys": Act("cancel", "cancelled", "the deploy of {app}[ {branch}]"),
    "POST /api/apps/{app}/rollback": Act("roll back", "rolled back", "{app}[ {branch}][ to release {release}]"),
    "PUT /api/apps/{app}/source": Act("let", "let", "{app} follow[ {url}]"),
    "DELETE /api/apps/{app}/source": Act("let", "let", "{app} follow no repository any more"),
    "POST /api/apps/{app}/source/pull": Act("fetch", "fetched", "what {app}[ {branch}] follows"),
    "POST /hooks/{app}": Act("follow", "followed", "a push to what {app}[ {branch}] follows[, {commit}]"),
    # Splits.
    "POST /api/apps/{app}/split": Act("start", "started", "a split of {app}[, {weights}][, decided by {metric}]"),
    "POST /api/apps/{app}/split/aa": Act("start", "started", "an A/A split of {app}"),
    "PATCH /api/apps/{app}/split": Act("set", "set", "the weights of {app}[ to {weights}]"),
    "POST /api/apps/{app}/split/pause": Act("pause", "paused", "the split of {app}"),
    "POST /api/apps/{app}/split/resume": Act("let", "let", "the split of {app} go on"),
    "POST /api/apps/{app}/split/reshuffle": Act("reshuffle", "reshuffled", "the visitors of {app}"),
    "POST /api/apps/{app}/split/conclude": Act("end", "ended", "the split of {app}[, won by {winner}]"),
    "POST /api/apps/{app}/promotion": Act("make", "made", "the winner the default branch's release in {app}"),
    "DELETE /api/apps/{app}/split": Act("end", "ended", "the split of {app} without a winner"),
    "PUT /api/apps/{app}/metrics/{name}": Act("declare", "declared", "the metric[ {name}] of {app}"),
    "DELETE /api/apps/{app}/metrics/{name}": Act("take back", "took back", "the metric[ {name}] of {app}"),
    # Rollouts and bandits.
    "POST /api/apps/{app}/rollout": Act("start", "started", "a rollout of {app}[ {branch}]"),
    "POST /api/apps/{app}/rollout/pause": Act("pause", "paused", "the rollout of {app}"),
    "POST /api/apps/{app}/rollout/resume": Act("let", "let", "the rollout of {app} go on"),
    "POST /api/apps/{app}/rollout/advance": Act("take", "took", "the next step of the rollout of {app}"),
    "POST /api/apps/{app}/rollout/promote": Act("give", "gave", "everybody the branch of the rollout of {app}"),
    "DELETE /api/apps/{app}/rollout": Act("end", "ended", "the rollout of {app}"),
    "rollout start": Act("start", "started", "a rollout of {app}[ {branch}][, to {to}]"),
    "rollout step": Act("take", "took", "a step of the rollout of {app}[ {branch}][, to {to}]"),
    "rollout promotion": Act("give", "gave", "everybody {app}[ {branch}]"),
    "rollout rollback": Act("roll back", "rolled back", "the rollout of {app}[ {branch}][, to {to}]"),
    "rollout abort": Act("end", "ended", "the rollout of {app}[ {branch}][, to {to}]"),
    "POST /api/apps/{app}/bandit": Act("start", "started", "a bandit of {app}[ by {metric}]"),
    "POST /api/apps/{app}/bandit/pause": Act("pause", "paused", "the bandit of {app}"),
    "POST /api/apps/{app}/bandit/resume": Act("let", "let", "the bandit of {app} go on"),
    "POST /api/apps/{app}/bandit/promote": Act("give", "gave", "everybody {app}[ {winner}], the choice of a bandit"),
    "DELETE /api/apps/{app}/bandit": Act("end", "ended", "the bandit of {app}"),
    "bandit weights": Act("shift", "shifted", "the weights of the bandit of {app}[ to {weights}]"),
    "bandit take-out": Act("take", "took", "branches out of the bandit of {app}[, now {weights}]"),
    "bandit rollback": Act("roll back", "rolled back", "the bandit of {app}[, to {weights}]"),
    "bandit abort": Act("end", "ended", "the bandit of {app}"),
    # What a source says when the platform fetches from it.
    "source failed": Act("fail", "failed", "to fetch what {app} follows"),
    "source works again": Act("fetch", "fetched", "again what {app} follows"),
    # Events.
    "POST /api/apps/{app}/events/import": Act("import", "imported", "events of {app}[ as {import}]"),
    "GET /api/apps/{app}/events/export": Act("export", "exported", "the events of {app}"),
    "DELETE /api/apps/{app}/visitors/{visitor}": Act("erase", "erased", "a visitor of {app}"),
    "DELETE /api/visitors/{visitor}": Act("erase", "erased", "a visitor of every app"),
    # The platform.
    "POST /api/freezes": Act("freeze", "froze", "{app}"),
    "DELETE /api/freezes/{freeze}": Act("take back", "took back", "the freeze[ {freeze}]"),
    "POST /api/keys": Act("add", "added", "the ssh key[ {name}]"),
    "DELETE /api/keys/{name}": Act("remove", "removed", "the ssh key[ {name}]"),
    "POST /api/tokens": Act("make", "made", "the token[ {name}][ with the role {role}]"),
    "DELETE /api/tokens/{name}": Act("remove", "removed", "the token[ {name}]"),
    "POST /api/targets": Act("add", "added", "somebody who is told[ of {events}]"),
    "DELETE /api/targets/{target}": Act("remove", "removed", "the target[ {target}], who is told no longer"),
    "POST /api/targets/{target}/test": Act("send", "sent", "a test to the target[ {target}]"),
    "POST /api/sign-in-links": Act("make", "made", "a link that signs in"),
    "POST /sign-in": Act("sign in", "signed in", "to the dashboard"),
    "POST /sign-out": Act("sign out", "signed out", "of the dashboard"),
    "POST /api/upgrade": Act("upgrade", "upgraded", "the daemon"),
    "POST /api/upgrade/proxy": Act("renew", "renewed", "HAProxy"),
    # Forms of the dashboard that were refused before it was known what they ask for: else they are noted as the calls
    # above that do the same.
    "POST /apps/{app}/scale": Act("scale", "scaled", "{app}"),
    "POST /apps/{app}/restart": Act("restart", "restarted", "{app}"),
    "POST /apps/{app}/mode": Act("set", "set", "the mode of {app}"),
    "POST /apps/{app}/cancel": Act("cancel", "cancelled", "a deploy of {app}"),
    "POST /apps/{app}/split/start": Act("start", "started", "a split of {app}"),
    "POST /apps/{app}/split/{verb}": Act("steer", "steered", "the split of {app}"),
    "POST /apps/{app}/rollout/start": Act("start", "started", "a rollout of {app}"),
    "POST /apps/{app}/rollout/{verb}": Act("steer", "steered", "the rollout of {app}"),
    "POST /apps/{app}/bandit/start": Act("start", "started", "a bandit of {app}"),
    "POST /apps/{app}/bandit/{verb}": Act("steer", "steered", "the bandit of {app}"),
    "POST /apps/{app}/rollback": Act("roll back", "rolled back", "{app}"),
    "POST /apps/{app}/config": Act("set", "set", "a config var of {app}"),
    "POST /apps/{app}/config/unset": Act("unset", "unset", "a config var of {app}"),
    "POST /apps/{app}/config/show": Act("look at", "looked at", "the config vars of {app}"),
    "POST /apps/{app}/weights": Act("set", "set", "the weights of {app}"),
}
"""By what an entry calls it: the route of the API, `git push`, or what the platform does by itself."""
# Where no app is named all of them are meant; elsewhere it is one whose name did not parse.
_NO_APP = {"POST /api/freezes": "every app"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An entry, for people."""

    words: str
    """A sentence without its full stop."""
    rest: str
    """What else its summary says."""

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Return the words of an entry; of an act that has none, what the log calls it."""
        parts = _parts(entry.summary)
        act = _act(entry.what, [key for key, _, _ in parts])
        if act is None:
            return cls(words=entry.what, rest=entry.summary)
        # Of a name that is there twice the first counts: what follows may be of free text.
        values = {key: value for key, value, _ in reversed(parts) if value}
        values["app"] = str(entry.app or _NO_APP.get(entry.what, "an app"))
        what, used = _filled(act.what, values)
        if entry.outcome == DONE:
            said = f"{act.did} {what}"
        else:
            said = f"{'began' if entry.outcome == BEGUN else 'tried'} to {act.do} {what}"
        return cls(
            words=f"{said[0].upper()}{said[1:]}",
            rest=", ".join(text for key, value, text in parts if key not in used or values[key] != value),
        )


def _act(what: str, keys: Sequence[str]) -> Act | None:
    """Return an act; a push, or what a provider tells, that deletes is another one."""
    return ACTS.get(f"{what}, delete" if "delete" in keys else what) or ACTS.get(what)


def _filled(text: str, values: Mapping[str, str]) -> tuple[str, set[str]]:
    """Return the words with what is known in them, and the names of what they have."""
    names = set(_NAMED.findall(text)) & values.keys()
    known = _OPTIONAL.sub(lambda part: part[1] if set(_NAMED.findall(part[1])) <= names else "", text)
    return _NAMED.sub(lambda name: values[name[1]], known), names


def _parts(summary: str) -> list[tuple[str, str, str]]:
    """Return name, value and text of each part of a summary; what is free text is one part, without a name."""
    texts = summary.split(", ") if summary else []
    found: list[tuple[str, str, str]] = []
    for place, text in enumerate(texts):
        key, _, value = text.partition(" ")
        if key not in _KEYS or value.endswith("…"):  # the end was cut off
            return [*found, ("", "", ", ".join(texts[place:]))]
        found.append((key, value, text))
    return found
