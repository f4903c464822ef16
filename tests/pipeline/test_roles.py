"""Who may do what: the whole matrix, tried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.setup import LOGIN_ROLES, setup

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[[str], psycopg.Connection]

MARKS = "reads {} / writes {}"
SCHEMAS = {
    "raw": "migrator",
    "pii": "migrator",
    "ops": "migrator",
    "staging": "transformer",
    "identity": "transformer",
    "touchpoints": "transformer",
    "attribution": "transformer",
    "marts_next": "transformer",
    "marts_store": "publisher",
    "marts": "publisher",
}
# role -> schemas it may read, schemas it may write
MATRIX = {
    "loader": ({"raw", "pii", "ops"}, {"raw", "pii"}),
    "transformer": (
        {
            "raw", "ops", "staging", "identity", "touchpoints", "attribution",
            "marts_next", "marts_store", "marts",
        },
        {"staging", "identity", "touchpoints", "attribution", "marts_next"},
    ),
    "publisher": (
        {"ops", "marts_next", "marts_store", "marts"}, {"marts_store", "marts"},
    ),
    "bi": ({"marts"}, set()),
}  # fmt: skip


@pytest.fixture(scope="module")
def probes(warehouse: str) -> str:
    """One table per schema, made by the schema's owner."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        for schema, owner in SCHEMAS.items():
            connection.execute(f"set role {owner}")
            connection.execute(f"create table {schema}.probe (value int)")
            connection.execute("reset role")
    return warehouse


def may(connection: psycopg.Connection, statement: str) -> bool:
    try:
        connection.execute(statement)
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.ReadOnlySqlTransaction,
    ):
        return False
    return True


@pytest.mark.parametrize("role", MATRIX)
def test_each_role_reads_and_writes_what_the_matrix_says(
    role: str, probes: str, connect_as: Connect
) -> None:
    reads, writes = MATRIX[role]
    connection = connect_as(role)
    if role == "bi":  # the default is no protection: a client may change it
        connection.execute("set default_transaction_read_only = off")
    seen = {s for s in SCHEMAS if may(connection, f"select * from {s}.probe")}
    written = {
        s for s in SCHEMAS if may(connection, f"insert into {s}.probe values (1)")
    }
    makes = {s for s in SCHEMAS if may(connection, f"create table {s}.made (v int)")}
    assert (seen, written) == (reads, writes)
    assert makes == {s for s, owner in SCHEMAS.items() if owner == role}
    for schema in makes:
        connection.execute(f"drop table {schema}.made")
    assert not may(connection, "create table public.made (v int)")


@pytest.mark.parametrize(
    "statement",
    [
        "delete from marts.probe",
        "with gone as (delete from marts.probe returning 1) select * from gone",
        "select pg_read_file('/etc/passwd')",
        "copy marts.probe to program 'true'",
        "create temporary table t (v int)",
        "set role publisher",
        "create schema mine",
    ],
)
def test_bi_can_only_look(statement: str, probes: str, connect_as: Connect) -> None:
    connection = connect_as("bi")
    connection.execute("set default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_bi_reads_only_unless_it_insists(probes: str, connect_as: Connect) -> None:
    connection = connect_as("bi")
    assert connection.execute("show default_transaction_read_only").fetchone() == (
        "on",
    )
    assert connection.execute("show statement_timeout").fetchone() == ("1min",)


def test_nobody_logs_in_as_the_owner_of_raw(
    warehouse: str, connect_as: Connect
) -> None:
    with pytest.raises(
        psycopg.OperationalError, match=r"not permitted to log in|authentication"
    ):
        connect_as("migrator")


def test_setting_up_again_changes_nothing(warehouse: str, connect_as: Connect) -> None:
    catalog = """
        select
            (select count(*) from pg_class), (select count(*) from pg_namespace),
            (select md5(string_agg(nspacl::text, ',' order by nspname)) from pg_namespace),
            (
                select md5(string_agg(relacl::text, ',' order by oid))
                from pg_class where relnamespace = 'ops'::regnamespace
            )
    """
    superuser = connect_as("postgres")
    before = superuser.execute(catalog).fetchone()
    password = psycopg.conninfo.conninfo_to_dict(warehouse)["password"]
    done = setup(warehouse, dict.fromkeys(LOGIN_ROLES, str(password)))
    assert [line for line in done if not line.startswith("applied")] == []
    assert superuser.execute(catalog).fetchone() == before


def test_every_table_of_the_pipeline_belongs_to_the_role_that_should_own_it(
    warehouse: str, connect_as: Connect
) -> None:
    rows = connect_as("postgres").execute(
        """
        select relnamespace::regnamespace::text, relname, relowner::regrole::text
        from pg_class
        where
            relkind in ('r', 'v', 'S', 'p')
            and relnamespace::regnamespace::text in ('raw', 'pii', 'ops', 'marts_store')
        """
    )
    wrong = [row for row in rows if row[2] != SCHEMAS[row[0]]]
    assert wrong == []
