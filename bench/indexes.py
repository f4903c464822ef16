"""Which indexes raw tables need: the cost of writing, and the pages read by what asks.

Sixty daily loads into a table of each kind: a new day of rows, and a twentieth of the
thirty days before restated. Then the three questions that are asked of raw: the live
rows of a window, the rows of the newest load, and of the one before.
docs/decisions/0002-raw-indexes.md draws the conclusion.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from bench.one_load import backend_cpu
from demo.postgres import Cluster, free_port

KINDS = {
    "none but the key": [],
    "btree on both": [
        "create index on t (account_id, record_date)",
        "create index on t (load_id)",
    ],
    "btree on the day, BRIN on the load": [
        "create index on t (account_id, record_date)",
        "create index on t using brin (load_id) with (pages_per_range = 16)",
    ],
    "BRIN on each": [
        "create index on t using brin (record_date) with (pages_per_range = 16)",
        "create index on t using brin (load_id) with (pages_per_range = 16)",
    ],
    "one BRIN on both": [
        "create index on t using brin (record_date, load_id) "
        "with (pages_per_range = 16)",
    ],
}
QUESTIONS = {
    "live rows of 30 days": "select count(*) from t where account_id = 'main' and "
    "record_date >= date '2026-03-02' - 30 and record_date < '2026-03-02' and "
    "deleted_load_id is null",
    "live rows of 1 day": "select count(*) from t where account_id = 'main' and "
    "record_date = '2026-02-20' and deleted_load_id is null",
    "rows of the newest load": "select count(record) from t where load_id = 60",
    "rows of an old load": "select count(record) from t where load_id = 45",
}
INSERT = """
insert into t
select 'main', to_char(day, 'YYYY-MM-DD') || '|' || md5(n::text || day::text), day,
    jsonb_build_object('Date', day, 'Id', n, 'Text', repeat(md5(n::text), 6)),
    md5(n::text)::uuid, %(load)s, null
from generate_series(1, %(rows)s) as n, (select %(day)s::date as day) as days
"""
UPDATE = """
update t set record = record || '{"Cost": 1}', load_id = %(load)s
where record_date >= %(day)s::date - 30 and record_date < %(day)s::date
and hashtext(record_key || %(load)s) %% 20 = 0
"""


def main(arguments: list[str]) -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench indexes", description=__doc__
    )
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a day")
    chosen = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    cluster = Cluster(home / "postgres", free_port(), secrets.token_hex(8))
    try:
        cluster.start(shared_buffers="1GB", max_wal_size="8GB", autovacuum="off")
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            for kind, indexes in KINDS.items():
                print(kind, json.dumps(measured(connection, indexes, chosen.rows)))
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


def measured(
    connection: psycopg.Connection[Any], indexes: list[str], rows: int
) -> dict[str, float]:
    """CPU seconds and WAL of writing, size, pages that each question reads."""
    execute: Any = connection.execute
    execute("drop table if exists t")
    execute(
        'create table t (account_id text collate "C", record_key text collate "C", '
        "record_date date, record jsonb not null, record_hash uuid, load_id bigint, "
        "deleted_load_id bigint, primary key (account_id, record_key))"
    )
    for index in indexes:
        execute(index)
    execute("set jit = off")
    execute("set max_parallel_workers_per_gather = 0")
    pid = connection.info.backend_pid
    start = execute("select pg_current_wal_insert_lsn()").fetchone()[0]
    insert_cpu = update_cpu = 0.0
    for load in range(1, 61):
        day = execute("select date '2026-01-01' + %s", (load - 1,)).fetchone()[0]
        values = {"load": load, "day": day, "rows": rows}
        before = backend_cpu(pid)
        execute(INSERT, values)
        middle = backend_cpu(pid)
        execute(UPDATE, values)
        insert_cpu += middle - before
        update_cpu += backend_cpu(pid) - middle
        if load % 7 == 0:
            execute("vacuum analyze t")
    wal = execute(
        "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", (start,)
    ).fetchone()[0]
    execute("vacuum analyze t")
    size = execute("select pg_indexes_size('t')").fetchone()[0]
    found = {
        "insert CPU s": round(insert_cpu, 1),
        "update CPU s": round(update_cpu, 1),
        "WAL MB": round(float(wal) / 1e6),
        "indexes MB": round(size / 1e6),
    }
    for name, question in QUESTIONS.items():
        plan = execute(f"explain (analyze, buffers, format json) {question}").fetchone()
        node = plan[0][0]["Plan"]
        found[f"pages: {name}"] = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    return found


if __name__ == "__main__":
    main([])
