"""Where a secret of the deployment can be read that should be read nowhere."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import psycopg


def secrets_in(environment: dict[str, str]) -> set[str]:
    """The passwords, tokens and client secrets of all Airflow connections in use."""
    found = set()
    for name, value in environment.items():
        if name.startswith("AIRFLOW_CONN_"):
            connection = json.loads(value)
            extra = json.loads(connection.get("extra") or "{}")
            found |= {connection["password"], *map(str, extra.values())}
    return found


def spellings(secrets: Iterable[str]) -> list[bytes]:
    """Every way in which they may be written; one that holds another is left out."""
    secrets = set(secrets)
    spelt = set()
    for each in secrets:
        if any(other in each for other in secrets - {each}):
            continue
        packed = base64.b64encode(each.encode()).decode()
        # its last letters change with what follows
        spelt |= {each, quote(each, safe=""), each.encode().hex(), packed[:-4]}
    return sorted(each.encode() for each in spelt)


def tables_with(
    connection: psycopg.Connection, words: list[bytes], schemas: Iterable[str]
) -> set[str]:
    """The tables of these schemas where a row holds one of the words."""
    tables = connection.execute(
        "select table_schema, table_name from information_schema.tables"
        " where table_type = 'BASE TABLE' and table_schema = any(%s)",
        (list(schemas),),
    ).fetchall()
    found = set()
    for schema, name in tables:
        table = sql.Identifier(schema, name)
        whole = sql.SQL("copy (select t::text from {} as t) to stdout").format(table)
        with connection.cursor().copy(whole) as rows:
            text = b"".join(rows)
        if any(word in text for word in words):
            found.add(name)
    return found


def files_with(folder: Path, words: list[bytes]) -> list[str]:
    """The files of a folder with one of the words."""
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(word in path.read_bytes() for word in words)
    ]
