"""Prepare a warehouse: roles, schemas and the tables every step needs.

Everything here may be run again at any time: an existing object is left as it is.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.base.settings import home
from pipeline.errors import PipelineError

LOGIN_ROLES = ("loader", "transformer", "publisher", "bi")
SQL_FOLDER = Path("include") / "sql" / "setup"


def passwords() -> dict[str, str]:
    """Each login role's password from THROUGHLINE_<ROLE>_PASSWORD.

    Raises PipelineError naming the first variable that is missing or empty.
    """
    found = {}
    for role in LOGIN_ROLES:
        variable = f"THROUGHLINE_{role.upper()}_PASSWORD"
        value = os.environ.get(variable)
        if not value:
            raise PipelineError(f"{variable} is not set: give role {role} a password")
        found[role] = value
    return found


def setup(superuser_dsn: str, role_passwords: dict[str, str]) -> list[str]:
    """Apply include/sql/setup/*.sql in order and set the passwords.

    Takes a libpq address of a superuser whose dbname is the warehouse (created when
    it does not exist) and the passwords by role; returns what was applied, a line
    each. Raises psycopg.Error when the server refuses.
    """
    done = _create_database(superuser_dsn)
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        # two setups of one database wait for each other
        connection.execute("select pg_advisory_lock(hashtext('throughline setup'))")
        for file in sorted((home() / SQL_FOLDER).glob("*.sql")):
            _apply(connection, file)
            done.append(f"applied {file.name}")
        for role, password in role_passwords.items():
            if _set_password(connection, superuser_dsn, role, password):
                done.append(f"set the password of {role}")
    return done


def _create_database(superuser_dsn: str) -> list[str]:
    name = conninfo_to_dict(superuser_dsn).get("dbname") or "postgres"
    with psycopg.connect(
        make_conninfo(superuser_dsn, dbname="postgres"), autocommit=True
    ) as connection:
        known = connection.execute(
            "select from pg_database where datname = %s", (name,)
        ).fetchone()
        if known is not None:
            return []
        connection.execute(
            sql.SQL("create database {}").format(sql.Identifier(str(name)))
        )
    return [f"created database {name}"]


def _apply(connection: psycopg.Connection, file: Path) -> None:
    """Run one file in one transaction; roles are the server's, so two databases

    set up at once may trip over one catalog row: then the file is run again.
    """
    text = file.read_text(encoding="utf-8")
    for attempt in range(10):
        try:
            with connection.transaction():
                connection.execute(text.encode())
                connection.execute("reset role")
        except psycopg.errors.InternalError_ as error:
            if attempt == 9 or not re.search("tuple concurrently", str(error)):
                raise
            time.sleep(0.2 * (attempt + 1))
        else:
            return


def _set_password(
    connection: psycopg.Connection, superuser_dsn: str, role: str, password: str
) -> bool:
    """Set a role's password unless it already opens the door; true when set."""
    try:
        psycopg.connect(
            make_conninfo(superuser_dsn, user=role, password=password),
            connect_timeout=10,
        ).close()
    except psycopg.OperationalError:
        pass
    else:
        return False
    # the server's log sees the verifier, never the password
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    )
    connection.execute(
        sql.SQL("alter role {} with login password {}").format(
            sql.Identifier(role), sql.Literal(verifier.decode())
        )
    )
    return True
