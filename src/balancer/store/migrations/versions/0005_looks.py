"""Looks at splits, and the reports of those that are over."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "looks",
        sa.Column("split", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["split"], ["splits.id"], name=op.f("fk_looks_split")),
        sa.PrimaryKeyConstraint("split", "at", name=op.f("pk_looks")),
    )
    op.create_table(
        "reports",
        sa.Column("split", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["split"], ["splits.id"], name=op.f("fk_reports_split")),
        sa.PrimaryKeyConstraint("split", name=op.f("pk_reports")),
    )
