"""Roles of tokens, and who is signed in."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns and the table; the tokens there are stay an operator's."""
    op.add_column("tokens", sa.Column("role", sa.Text(), nullable=False, server_default="operator"))
    op.add_column("tokens", sa.Column("used_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "sessions",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("signed_in_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["token"], ["tokens.digest"], name=op.f("fk_sessions_token")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_token"), "sessions", ["token"])
