"""Runs the migrations in the transaction that tidewaiter.database.migrate has begun."""

from alembic import context

from tidewaiter.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
