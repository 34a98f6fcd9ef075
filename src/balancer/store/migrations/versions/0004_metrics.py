"""Metrics that are declared by command."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table; what a split was begun with gets its metrics in the column that is there."""
    op.create_table(
        "metrics",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_metrics_app")),
        sa.PrimaryKeyConstraint("app", "name", name=op.f("pk_metrics")),
    )
