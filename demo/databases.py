"""The databases beside the warehouse: `airflow` and `superset`, each with its owner.

`python -m demo.databases` reads THROUGHLINE_SUPERUSER_DSN, AIRFLOW_DB_PASSWORD and
SUPERSET_DB_PASSWORD; running it again only sets the passwords.
"""

from __future__ import annotations

import os
import sys

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo


def create(superuser_dsn: str, passwords: dict[str, str]) -> None:
    """Make a role and a database of its own for each name in `passwords`.

    Takes a superuser's libpq address (its dbname does not matter).
    """
    dsn = make_conninfo(superuser_dsn, dbname="postgres")
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, password in passwords.items():
            role = connection.execute(
                "select true from pg_roles where rolname = %s", [name]
            ).fetchone()
            statement = "alter role {} login password {}"
            if role is None:
                statement = "create role {} login password {}"
            connection.execute(
                sql.SQL(statement).format(sql.Identifier(name), sql.Literal(password))
            )
            database = connection.execute(
                "select true from pg_database where datname = %s", [name]
            ).fetchone()
            if database is None:
                connection.execute(
                    sql.SQL("create database {} owner {}").format(
                        sql.Identifier(name), sql.Identifier(name)
                    )
                )


def main() -> None:
    """Command line: everything comes from the environment."""
    wanted = {"airflow": "AIRFLOW_DB_PASSWORD", "superset": "SUPERSET_DB_PASSWORD"}
    missing = [v for v in wanted.values() if not os.environ.get(v)]
    if missing:
        sys.exit(f"{missing[0]} is not set: run `make .env` and use that file")
    create(
        os.environ["THROUGHLINE_SUPERUSER_DSN"],
        {name: os.environ[variable] for name, variable in wanted.items()},
    )


if __name__ == "__main__":
    main()
