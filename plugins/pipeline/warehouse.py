"""How a step reaches the warehouse: as its own role, with the DSN of the settings."""

from __future__ import annotations

import psycopg

from connectors.base.settings import dsn


def connect(role: str, *, autocommit: bool = False) -> psycopg.Connection:
    """A connection as `role`; used in a `with` it commits at the end or rolls back.

    Raises ConfigError when the role's password is not set, psycopg.OperationalError
    when the server does not answer.
    """
    return psycopg.connect(dsn(role), autocommit=autocommit)
