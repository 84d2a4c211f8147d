"""Notices keep their words in English, too; those of before have none."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = {
    "sqlite": (
        "ALTER TABLE notice ADD COLUMN subject_en TEXT",
        "ALTER TABLE notice ADD COLUMN body_en TEXT",
    ),
    "postgresql": (
        "ALTER TABLE notice ADD COLUMN subject_en VARCHAR(200)",
        "ALTER TABLE notice ADD COLUMN body_en VARCHAR(4000)",
    ),
}


def upgrade() -> None:
    """Add them."""
    connection = op.get_bind()
    for statement in STATEMENTS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
