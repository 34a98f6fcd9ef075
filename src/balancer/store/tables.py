"""The tables of the registry, as the newest migration leaves them.

Invariants:
    * At most one release of a branch is live, one split of an app is not over, one instance holds a port: by partial
      unique indexes.
    * A time is stored in whole milliseconds of UTC and comes back as an aware datetime.
    * A test compares these tables with what the migrations make.

States, names and manifests are text here; `rows` gives them back through the domain's own constructors.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

# Constraints have names so that a later migration can change them, on every database.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept in milliseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the milliseconds; a part of one is cut off."""
        return None if value is None else (value - _EPOCH) // MILLISECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC."""
        return None if value is None else _EPOCH + value * MILLISECOND


apps = Table(
    "apps",
    metadata,
    Column("name", Text, primary_key=True),
    Column("default_branch", Text),
    Column("created_at", Instant, nullable=False),
    Column("mode", Text, nullable=False, server_default="serving"),
    Column("promoted", Text),
    Column("preview_key", Text),
)

domains = Table(
    "domains",
    metadata,
    Column("host", Text, primary_key=True),
    Column("app", ForeignKey(apps.c.name), nullable=False, index=True),
    Column("position", Integer, nullable=False),
)

config = Table(
    "config",
    metadata,
    Column("app", ForeignKey(apps.c.name), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

branches = Table(
    "branches",
    metadata,
    Column("app", ForeignKey(apps.c.name), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("slug", Text, nullable=False),
    UniqueConstraint("app", "slug"),
)

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("commit", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("manifest", Text),
    Column("config", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("activated_at", Instant),
    Column("reason", Text),
    Column("tree", Integer, nullable=False, server_default="0"),
    ForeignKeyConstraint(["app", "branch"], [branches.c.app, branches.c.name]),
    UniqueConstraint("app", "number"),
    # Ids stand in HAProxy's server names and the edge log, so none is ever given out again.
    sqlite_autoincrement=True,
)
# The literal stands in the index and in the queries alike: only so does SQLite use the index for them.
is_live = releases.c.state == literal_column("'live'")
Index(
    "uq_releases_live",
    releases.c.app,
    releases.c.branch,
    unique=True,
    sqlite_where=is_live,
    postgresql_where=is_live,
)

instances = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("release_id", ForeignKey(releases.c.id), nullable=False, index=True),
    Column("idx", Integer, nullable=False),
    Column("port", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("boot_id", Text),
    Column("pid", Integer),
    Column("start_ticks", BigInteger),
    Column("draining_since", Instant),
    Column("type", Text, nullable=False, server_default="web"),
    Column("host", Text, nullable=False, server_default="127.0.0.1"),
    Column("standby_since", Instant),
    sqlite_autoincrement=True,
)
holds_port = instances.c.state != literal_column("'stopped'")
Index("uq_instances_port", instances.c.port, unique=True, sqlite_where=holds_port, postgresql_where=holds_port)

splits = Table(
    "splits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", Text, nullable=False, index=True),
    Column("control", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("ended_at", Instant),
    Column("expected_visitors", BigInteger, nullable=False),
    Column("brief", Text, nullable=False, server_default="{}"),
    Column("winner", Text),
    ForeignKeyConstraint(["app", "control"], [branches.c.app, branches.c.name]),
    # A number that came back would bring the visitors of an older split back with it.
    sqlite_autoincrement=True,
)
is_open = splits.c.ended_at.is_(None)
"""Running or paused."""
Index("uq_splits_open", splits.c.app, unique=True, sqlite_where=is_open, postgresql_where=is_open)

phases = Table(
    "phases",
    metadata,
    Column("split", ForeignKey(splits.c.id), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("weights", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
)

# What was seen of a split at the end of a day; the bodies are JSON.
looks = Table(
    "looks",
    metadata,
    Column("split", ForeignKey(splits.c.id), primary_key=True),
    Column("at", Instant, primary_key=True),
    Column("body", Text, nullable=False),
)

# The report of a split that is over, and what made it.
reports = Table(
    "reports",
    metadata,
    Column("split", ForeignKey(splits.c.id), primary_key=True),
    Column("body", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("role", Text, nullable=False, server_default="operator"),
    Column("used_at", Instant),
)

# Who is signed in; the token by its digest, so that another token of the same name is not signed in by it.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("token", ForeignKey(tokens.c.digest), nullable=False, index=True),
    Column("signed_in_at", Instant, nullable=False),
    Column("used_at", Instant, nullable=False),
)

# How many instances an operator asked for; where there is no row the manifest decides.
formations = Table(
    "formations",
    metadata,
    Column("app", ForeignKey(apps.c.name), primary_key=True),
    Column("type", Text, primary_key=True),
    Column("count", Integer, nullable=False),
)

# The last run of each cron job.
cron_runs = Table(
    "cron_runs",
    metadata,
    Column("app", ForeignKey(apps.c.name), primary_key=True),
    Column("schedule", Text, primary_key=True),
    Column("command", Text, primary_key=True),
    Column("minute", Instant, nullable=False),
    Column("release", Integer, nullable=False),
    Column("ended_at", Instant),
    Column("status", Integer),
)

# Public keys that may push over ssh.
keys = Table(
    "keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
)

# From where an app is pulled when its provider calls; the secret and the URL, which may have a password, encrypted.
sources = Table(
    "sources",
    metadata,
    Column("app", ForeignKey(apps.c.name), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("branches", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Metrics that were declared by command; they win over those of the manifest.
metrics = Table(
    "metrics",
    metadata,
    Column("app", ForeignKey(apps.c.name), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

# A branch that is given to more and more visitors; the plan is JSON.
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", ForeignKey(apps.c.name), nullable=False, index=True),
    Column("branch", Text, nullable=False),
    Column("split", ForeignKey(splits.c.id), nullable=False),
    Column("plan", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("step_seconds", Float, nullable=False),
    Column("ticks", Float, nullable=False),
    Column("reason", Text),
    Column("ended_at", Instant),
)
goes_on = rollouts.c.ended_at.is_(None)
"""Neither done nor aborted nor rolled back."""
Index("uq_rollouts_open", rollouts.c.app, unique=True, sqlite_where=goes_on, postgresql_where=goes_on)

# What was decided of a rollout, with the figures that made it; the bodies are JSON.
decisions = Table(
    "decisions",
    metadata,
    Column("rollout", ForeignKey(rollouts.c.id), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
)

# When what visitors see stays as it is; without an app everywhere.
freezes = Table(
    "freezes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", ForeignKey(apps.c.name)),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("why", Text, nullable=False),
    # A number that came back could remove another freeze than the one that was meant.
    sqlite_autoincrement=True,
)

# What the clock and the ticks showed together when they were looked at last; one row.
clock_marks = Table(
    "clock_marks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("wall", Instant, nullable=False),
    Column("ticks", Float, nullable=False),
    Column("doubted_since", Float),
)

# Branches that visitors are shared among by what they earn; branches, plan and what was taken out are JSON.
bandits = Table(
    "bandits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("app", ForeignKey(apps.c.name), nullable=False, index=True),
    Column("control", Text, nullable=False),
    Column("branches", Text, nullable=False),
    Column("split", ForeignKey(splits.c.id), nullable=False),
    Column("plan", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("step_seconds", Float, nullable=False),
    Column("ticks", Float, nullable=False),
    Column("out", Text, nullable=False),
    Column("reason", Text),
    Column("ended_at", Instant),
)
bandit_goes_on = bandits.c.ended_at.is_(None)
Index("uq_bandits_open", bandits.c.app, unique=True, sqlite_where=bandit_goes_on, postgresql_where=bandit_goes_on)

# What was decided of a bandit, with the figures that made it; the bodies are JSON.
bandit_decisions = Table(
    "bandit_decisions",
    metadata,
    Column("bandit", ForeignKey(bandits.c.id), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("body", Text, nullable=False),
)

# Who changed what. No app is referred to: what was done to one outlives it.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("app", Text, index=True),
    Column("summary", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    sqlite_autoincrement=True,
)

# Who is told; the address, which may be all that proves a sender, and the secret encrypted.
targets = Table(
    "targets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("secret", Text),
    Column("kinds", Text, nullable=False),
    Column("app", ForeignKey(apps.c.name)),
    Column("created_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    Column("failure", Text),
    # What waits for a target that was removed must not go to another one.
    sqlite_autoincrement=True,
)

# What is told; one with a key stays for a year when it was, so that it is not told again.
notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("key", Text, unique=True),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("app", Text),
    Column("text", Text, nullable=False),
    Column("facts", Text, nullable=False),
    sqlite_autoincrement=True,
)

# Which notices wait for which target.
outbox = Table(
    "outbox",
    metadata,
    Column("target", ForeignKey(targets.c.id), primary_key=True),
    Column("notice", ForeignKey(notices.c.id), primary_key=True, index=True),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
)
