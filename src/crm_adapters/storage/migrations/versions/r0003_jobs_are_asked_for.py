"""Jobs are asked for, and run by whoever looks next."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = {
    "sqlite": (
        "CREATE TABLE job_wish (\n\tname TEXT NOT NULL,\n\tasked_at INTEGER NOT NULL,\n\t"
        "fence INTEGER NOT NULL,\n\tCONSTRAINT pk_job_wish PRIMARY KEY (name)\n)\n STRICT"
    ),
    "postgresql": (
        "CREATE TABLE job_wish (name VARCHAR(60) NOT NULL,"
        " asked_at TIMESTAMP WITH TIME ZONE NOT NULL, fence INTEGER NOT NULL,"
        " CONSTRAINT pk_job_wish PRIMARY KEY (name))"
    ),
}


def upgrade() -> None:
    """Add the table."""
    connection = op.get_bind()
    connection.exec_driver_sql(STATEMENTS[connection.dialect.name])
