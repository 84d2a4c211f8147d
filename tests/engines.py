"""The engines that everything runs on, and the addresses of their databases."""

import sqlalchemy as sa

ENGINES = ("sqlite", "postgresql")


def named(uri: str, name: str) -> str:
    """Give the address of another database of the same server."""
    return sa.make_url(uri).set(database=name).render_as_string(hide_password=False)
