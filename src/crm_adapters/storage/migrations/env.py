"""Runs migrations on the connection that `upgrade` gives."""

from alembic import context

from crm_adapters.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
