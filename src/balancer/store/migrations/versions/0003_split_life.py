"""What a split is about, its winner and its pause; what is promoted; keys of previews."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; a split that is paused is not over either, and keeps its app to itself."""
    op.add_column("apps", sa.Column("promoted", sa.Text()))
    op.add_column("apps", sa.Column("preview_key", sa.Text()))
    op.add_column("splits", sa.Column("brief", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("splits", sa.Column("winner", sa.Text()))
    op.drop_index("uq_splits_running", "splits")
    is_open = sa.text("ended_at IS NULL")
    op.create_index("uq_splits_open", "splits", ["app"], unique=True, sqlite_where=is_open, postgresql_where=is_open)
