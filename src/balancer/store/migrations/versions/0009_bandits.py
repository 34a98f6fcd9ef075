"""Bandits, and what was decided of them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "bandits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("control", sa.Text(), nullable=False),
        sa.Column("branches", sa.Text(), nullable=False),
        sa.Column("split", sa.Integer(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("step_seconds", sa.Float(), nullable=False),
        sa.Column("ticks", sa.Float(), nullable=False),
        sa.Column("out", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_bandits_app")),
        sa.ForeignKeyConstraint(["split"], ["splits.id"], name=op.f("fk_bandits_split")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bandits")),
    )
    op.create_index(op.f("ix_bandits_app"), "bandits", ["app"])
    goes_on = sa.text("ended_at IS NULL")
    op.create_index("uq_bandits_open", "bandits", ["app"], unique=True, sqlite_where=goes_on, postgresql_where=goes_on)
    op.create_table(
        "bandit_decisions",
        sa.Column("bandit", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["bandit"], ["bandits.id"], name=op.f("fk_bandit_decisions_bandit")),
        sa.PrimaryKeyConstraint("bandit", "number", name=op.f("pk_bandit_decisions")),
    )
