"""The first tables: frozen statements, one file for each database."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    connection = op.get_bind()
    psycopg = connection.dialect.driver == "psycopg"
    text = Path(__file__).with_name(f"r0001_{connection.dialect.name}.sql").read_text("utf-8")
    for statement in text.split(";;\n"):
        if statement.strip():
            # The driver reads % as a placeholder.
            connection.exec_driver_sql(statement.replace("%", "%%") if psycopg else statement)
