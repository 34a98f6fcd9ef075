"""Freezes, and the mark by which a clock that is set is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "freezes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app", sa.Text(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_freezes_app")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freezes")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "clock_marks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("ticks", sa.Float(), nullable=False),
        sa.Column("doubted_since", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_marks")),
    )
