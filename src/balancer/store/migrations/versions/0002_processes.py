"""Process types, standby, modes of apps, trees shared by releases, formations, ssh keys, sources to pull from."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and tables, and bring stored manifests to their new form."""
    op.add_column("apps", sa.Column("mode", sa.Text(), nullable=False, server_default="serving"))
    op.add_column("instances", sa.Column("type", sa.Text(), nullable=False, server_default="web"))
    op.add_column("instances", sa.Column("host", sa.Text(), nullable=False, server_default="127.0.0.1"))
    op.add_column("instances", sa.Column("standby_since", sa.BigInteger()))
    # SQLite adds no column that may not be null without a default; 0 stands for none of them afterwards.
    op.add_column("releases", sa.Column("tree", sa.Integer(), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE releases SET tree = number"))
    _convert_manifests(op.get_bind())
    op.create_table(
        "formations",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_formations_app")),
        sa.PrimaryKeyConstraint("app", "type", name=op.f("pk_formations")),
    )
    op.create_table(
        "cron_runs",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("status", sa.Integer()),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_cron_runs_app")),
        sa.PrimaryKeyConstraint("app", "schedule", "command", name=op.f("pk_cron_runs")),
    )
    op.create_table(
        "keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_keys")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_keys_fingerprint")),
    )
    op.create_table(
        "sources",
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("branches", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_sources_app")),
        sa.PrimaryKeyConstraint("app", name=op.f("pk_sources")),
    )


def _convert_manifests(connection: sa.Connection) -> None:
    """A `web` command became one of several processes, and the number of its instances a formation."""
    releases = sa.table("releases", sa.column("id", sa.Integer), sa.column("manifest", sa.Text))
    written = sa.select(releases.c.id, releases.c.manifest).where(releases.c.manifest.is_not(None))
    for row in connection.execute(written).all():
        fields = json.loads(row.manifest)
        web, instances = fields.pop("web", None), fields.pop("instances", 1)
        fields |= {
            "processes": {} if web is None else {"web": web},
            "formation": {"web": instances},
            "env": {},
            "cron": [],
        }
        text = json.dumps(fields)
        connection.execute(sa.update(releases).where(releases.c.id == row.id).values(manifest=text))
