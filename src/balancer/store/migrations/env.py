"""What Alembic runs to migrate: on the connection, and in the transaction, that `database` gives it."""

from alembic import context

from balancer.store.tables import metadata


def migrate() -> None:
    """Run the migrations that are asked for; the transaction is the caller's."""
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


migrate()
