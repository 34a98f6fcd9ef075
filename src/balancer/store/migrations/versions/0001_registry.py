"""The first schema of the registry."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "apps",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("default_branch", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_apps")),
    )
    op.create_table(
        "tokens",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_table(
        "branches",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_branches_app")),
        sa.PrimaryKeyConstraint("app", "name", name=op.f("pk_branches")),
        sa.UniqueConstraint("app", "slug", name=op.f("uq_branches_app_slug")),
    )
    op.create_table(
        "config",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_config_app")),
        sa.PrimaryKeyConstraint("app", "key", name=op.f("pk_config")),
    )
    op.create_table(
        "domains",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_domains_app")),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_domains")),
    )
    op.create_index(op.f("ix_domains_app"), "domains", ["app"], unique=False)
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=True),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["app", "branch"], ["branches.app", "branches.name"], name=op.f("fk_releases_app_branch")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("app", "number", name=op.f("uq_releases_app_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_releases_state"), "releases", ["state"], unique=False)
    op.create_index(
        "uq_releases_live",
        "releases",
        ["app", "branch"],
        unique=True,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "splits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("control", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("expected_visitors", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app", "control"], ["branches.app", "branches.name"], name=op.f("fk_splits_app_control")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_splits")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_splits_app"), "splits", ["app"], unique=False)
    op.create_index(
        "uq_splits_running",
        "splits",
        ["app"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("release_id", sa.Integer(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("start_ticks", sa.BigInteger(), nullable=True),
        sa.Column("draining_since", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_instances_release_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_instances_release_id"), "instances", ["release_id"], unique=False)
    op.create_index(
        "uq_instances_port",
        "instances",
        ["port"],
        unique=True,
        sqlite_where=sa.text("state != 'stopped'"),
        postgresql_where=sa.text("state != 'stopped'"),
    )
    op.create_table(
        "phases",
        sa.Column("split", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["split"], ["splits.id"], name=op.f("fk_phases_split")),
        sa.PrimaryKeyConstraint("split", "number", name=op.f("pk_phases")),
    )
