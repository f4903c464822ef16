"""Who is who: the step `identify` against its peers, each in a database of its own.

A full build from dbt's tables of text identifiers, the same beside union-find in PL/pgSQL
on integer tables, the method of rudderlabs/dbt-id-stitching (run until no row changes),
and an increment of 50,000 edges on graphs of a tenth and of the full size.
CPU is the server process's and the client's; the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg

from bench.one_load import backend_cpu, own_cpu, peak_memory
from demo.postgres import Cluster, free_port
from pipeline import identify
from pipeline.arrays import columns, copy_pairs
from pipeline.components import components
from pipeline.setup import LOGIN_ROLES, setup

if TYPE_CHECKING:
    from collections.abc import Iterator

REMOVED = 10  # one in so many of the changes
TURNS = 3  # of what is quick, one after the other: the middle one counts


@dataclass
class Figure:
    """What one piece of work took."""

    seconds: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float = 0.0

    @property
    def cpu(self) -> float:
        """CPU seconds of both sides."""
        return self.client_cpu + self.server_cpu


@contextmanager
def measured(connection: psycopg.Connection[Any]) -> Iterator[Figure]:
    """Fill a Figure with what happens inside."""
    figure = Figure()
    pid = connection.info.backend_pid
    began, own, server = time.perf_counter(), own_cpu(), backend_cpu(pid)
    yield figure
    figure.seconds = time.perf_counter() - began
    figure.client_cpu = own_cpu() - own
    figure.server_cpu = backend_cpu(pid) - server


def people(edges: int, seed: int = 1) -> tuple[int, Any, Any]:
    """(identifiers, left, right) of about so many edges.

    Persons of 2 to 10 identifiers (2.6 on average), a sixth of the edges seen twice,
    and one in 200 joining two persons by chance.
    """
    persons = int(edges * 0.519)
    chance = np.random.default_rng(seed)
    sizes = 2 + np.minimum(chance.geometric(0.62, persons) - 1, 8)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    owner = np.repeat(np.arange(persons), sizes)
    place = np.arange(len(owner)) - first[owner]
    child = np.flatnonzero(place > 0)
    parent = first[owner[child]] + (chance.random(len(child)) * place[child]).astype(
        np.int64
    )
    again = chance.choice(len(child), int(len(child) * 0.19))
    strays = chance.integers(0, len(owner), (2, int(len(child) * 0.005)))
    left = np.concatenate([parent, child[again], strays[0]])
    right = np.concatenate([child, parent[again], strays[1]])
    order, name = chance.permutation(len(left)), chance.permutation(len(owner))
    return len(owner), name[left[order]], name[right[order]]


def fill(connection: psycopg.Connection[Any], edges: int) -> tuple[int, int]:
    """dbt's two tables with a simulated graph, and `ints`; -> identifiers, edges."""
    size, left, right = people(edges)
    connection.execute("create unlogged table ints (a bigint, b bigint)")
    copy_pairs(connection, "ints (a, b)", left, right)
    connection.execute("set work_mem = '1GB'; set max_parallel_workers_per_gather = 0")
    connection.execute(
        f"""
        create unlogged table names as
        select
            n,
            n * 64 + case n % 3 when 0 then 0 when 1 then 6 else 8 end as node_id,
            case n % 3
                when 0 then 'ym_client_id' when 1 then 'phone' else 'crm_contact'
            end as kind,
            case n % 3
                when 0 then (1600000000000000000 + n * 7919)::text
                when 1 then 'ph1_' || left(md5(n::text), 26)
                else 'bitrix24:main:' || n
            end as identifier,
            timestamptz '2024-01-01'
            + (hashint8(n) & 67108863) * interval '1 second' as first_seen_at,
            'joining'::text as standing
        from generate_series(0, {size - 1}::bigint) as n
        """
    )
    connection.execute(
        """
        analyze names;
        create table identity.int_identifiers as
        select node_id, kind, identifier, first_seen_at, standing from names;
        create table identity.identity_edges as
        select
            lefts.kind as left_kind, lefts.identifier as left_id,
            rights.kind as right_kind, rights.identifier as right_id,
            'call' as evidence, true as is_joining,
            lefts.node_id as left_node, rights.node_id as right_node
        from ints
        inner join names as lefts on ints.a = lefts.n
        inner join names as rights on ints.b = rights.n;
        drop table names
        """
    )
    # as autovacuum, which is off here, and the making of dbt's indexes leave them
    for table in ("ints", "identity.int_identifiers", "identity.identity_edges"):
        connection.execute(f"vacuum (analyze) {table}")
    connection.execute("checkpoint")
    return size, len(left)


def full_build(connection: psycopg.Connection[Any]) -> dict[str, Figure]:
    """Everything from the tables of texts; keys are built apart."""
    connection.execute(
        "truncate identity.node_persons_built, identity.node_persons_moved, "
        "identity.person_merges"
    )
    identify.drop_keys(connection)
    with connection.transaction():
        connection.execute("set local work_mem = '64MB'")
        with measured(connection) as build:
            identify.build(connection, index=False)
        with measured(connection) as keys:
            identify.index_persons(connection)
    return {"persons": build, "keys": keys}


def increment(
    connection: psycopg.Connection[Any], size: int, edges: int, changes: int, turn: int
) -> Figure:
    """So many changed edges: nine in ten are new, half of them with a new identifier.

    The tables are changed before (with what notes the changes); the step is measured.
    """
    connection.execute(
        """
        create unique index if not exists bench_identifiers
        on identity.int_identifiers (identifier, kind);
        create unique index if not exists bench_nodes
        on identity.int_identifiers (node_id) include (first_seen_at);
        create index if not exists bench_left
        on identity.identity_edges (left_id, left_kind);
        create index if not exists bench_right
        on identity.identity_edges (right_id, right_kind);
        create index if not exists bench_left_node
        on identity.identity_edges (left_node);
        truncate identity.changed_nodes, identity.changed_edges;
        call identity.note_changes('identity.int_identifiers', 'nodes');
        call identity.note_changes('identity.identity_edges', 'edges');
        update identity.identify_state set is_full_needed = false;
        analyze identity.int_identifiers;
        analyze identity.identity_edges;
        """
    )
    removed = changes // REMOVED
    half = (changes - removed) // 2
    chance = np.random.default_rng(turn)
    shift = turn * half
    some = chance.choice(size, 3 * half, replace=False)
    connection.execute("create temp table known (n bigint, place bigint)")
    copy_pairs(connection, "known (n, place)", some, np.arange(3 * half))
    connection.execute("analyze known")
    connection.execute("set enable_hashjoin = off; set enable_mergejoin = off")
    connection.execute(
        """
        create temp table ends as
        select known.place, kind, identifier, node_id
        from known
        inner join identity.int_identifiers as identifiers
            on
                identifiers.node_id = known.n * 64
                + case known.n % 3 when 0 then 0 when 1 then 6 else 8 end
        """
    )
    connection.execute("reset enable_hashjoin; reset enable_mergejoin")
    connection.execute(
        """
        insert into identity.int_identifiers
        select
            (1000000000000 + n) * 64 + 2, 'visit',
            'yandex_metrica:main:' || n, now(), 'strong'
        from generate_series(%(shift)s::bigint + 1, %(shift)s::bigint + %(half)s::bigint) as n
        """,
        {"half": half, "shift": shift},
    )
    connection.execute(
        """
        insert into identity.identity_edges
        select
            'visit', 'yandex_metrica:main:' || place + %(shift)s::bigint, kind, identifier,
            'visit', true, (1000000000000 + place + %(shift)s::bigint) * 64 + 2, node_id
        from ends where place between 1 and %(half)s::bigint
        union all
        select
            one.kind, one.identifier, two.kind, two.identifier, 'call', true,
            one.node_id, two.node_id
        from ends as one
        inner join ends as two on one.place + %(half)s::bigint = two.place
        where one.place >= %(half)s::bigint and one.place < 2 * %(half)s::bigint
        """,
        {"half": half, "shift": shift},
    )
    connection.execute(
        """
        with chosen as (
            select ctid from identity.identity_edges
            tablesample system (%(share)s) limit %(removed)s
        )

        delete from identity.identity_edges
        where ctid = any(array(select ctid from chosen))
        """,
        {"share": min(100.0, 300 * removed / edges), "removed": removed},
    )
    connection.execute("drop table known; drop table ends")
    connection.execute("checkpoint")
    with measured(connection) as figure, connection.transaction():
        counts = identify.update(connection)
        identify.note_large_persons(connection, counts)
    if counts.is_full:
        raise RuntimeError("the increment read everything")
    print(f"  {counts}", file=sys.stderr)
    return figure


UNION_FIND = """
create or replace function union_find(size bigint) returns void language plpgsql as $$
declare
    parent int[]; edge record; a int; b int; i int;
begin
    parent := array(select generate_series(1, size));
    for edge in select ints.a + 1 as a, ints.b + 1 as b from ints loop
        a := edge.a; b := edge.b;
        while parent[a] <> a loop
            parent[a] := parent[parent[a]]; a := parent[a];
        end loop;
        while parent[b] <> b loop
            parent[b] := parent[parent[b]]; b := parent[b];
        end loop;
        if a < b then parent[b] := a; elsif b < a then parent[a] := b; end if;
    end loop;
    for i in 1..size loop
        a := i;
        while parent[a] <> a loop
            parent[a] := parent[parent[a]]; a := parent[a];
        end loop;
        parent[i] := a;
    end loop;
    drop table if exists found_by_union_find;
    create unlogged table found_by_union_find as
    select place - 1 as node_id, label - 1 as person_node
    from unnest(parent) with ordinality as nodes (label, place);
end
$$
"""


def on_integers(connection: psycopg.Connection[Any], size: int) -> dict[str, Figure]:
    """From a table of integer pairs to a table of components: ours, and union-find."""
    connection.execute(UNION_FIND)
    ours, theirs = [], []
    for _ in range(TURNS):
        connection.execute(
            "drop table if exists found_by_us; "
            "create unlogged table found_by_us (node_id bigint, person_node bigint)"
        )
        with measured(connection) as figure:
            (pairs,) = columns(connection, "ints", ("int8send(a << 32 | b)",))
            ids = np.arange(size, dtype=np.int64)
            lowest = components(
                size, (pairs >> 32).astype(np.int32), pairs.astype(np.int32)
            )
            copy_pairs(connection, "found_by_us (node_id, person_node)", ids, lowest)
        ours.append(figure)
        del pairs, ids, lowest
        with measured(connection) as figure:
            connection.execute("select union_find(%s)", (size,))
        theirs.append(figure)
    row = connection.execute(
        """
        select count(*) from (
            select * from found_by_us except select * from found_by_union_find
        ) as different
        """
    ).fetchone()
    if row != (0,):
        raise RuntimeError(f"the two differ in {row} nodes")
    return {"ours on integers": middle(ours), "PL/pgSQL union-find": middle(theirs)}


def middle(figures: list[Figure]) -> Figure:
    """The one that took the middle CPU."""
    return sorted(figures, key=lambda each: each.cpu)[len(figures) // 2]


def stitching(connection: psycopg.Connection[Any]) -> tuple[Figure, int]:
    """dbt-id-stitching's model `edges` (2fa4f6f) until no row changes; -> passes.

    As dbt runs it in Postgres: a first run numbers the distinct edges of text, every
    further one writes to a temporary table the edges whose number became lower in three
    rounds, and puts those in place of the old ones. Its own cast makes texts of numbers.
    """
    lowest = """
        lowest_{n} as (
            select node, min(rudder_id) as first_row_id
            from (
                select {number} as rudder_id, lower(o.node_a) as node from {edges}
                union
                select {number}, lower(o.node_b) from {edges}
            ) as c
            group by node
        )
    """
    joined = """
        stitched as o
        left outer join lowest_{n} as a on lower(o.node_a) = a.node
        left outer join lowest_{n} as b on lower(o.node_b) = b.node
    """
    less = "least(a.first_row_id, b.first_row_id)"
    rounds = ", ".join(
        [
            lowest.format(n=1, number="o.rudder_id", edges="stitched as o"),
            lowest.format(n=2, number=less, edges=joined.format(n=1)),
            lowest.format(n=3, number=less, edges=joined.format(n=2)),
        ]
    )
    with measured(connection) as figure:
        connection.execute(
            """
            drop table if exists stitched;
            create unlogged table stitched as
            select
                row_number() over (order by 1 desc) as rudder_id,
                row_number() over (order by 1 desc) as original_rudder_id,
                node_a, node_a_label, node_b, node_b_label, now() as node_timestamp
            from (
                select distinct
                    a::text as node_a, 'a' as node_a_label,
                    b::text as node_b, 'b' as node_b_label
                from ints
            ) as s;
            analyze stitched
            """
        )
        passes, changed = 0, 1
        while changed:
            passes += 1
            changed = connection.execute(
                f"""
                create temp table lower_now as
                with {rounds},

                cte_new_id as (
                    select o.original_rudder_id, {less} as new_rudder_id
                    from {joined.format(n=3)}
                )

                select
                    cte_new_id.new_rudder_id as rudder_id, e.original_rudder_id,
                    e.node_a, e.node_a_label, e.node_b, e.node_b_label,
                    now() as node_timestamp
                from stitched as e
                inner join cte_new_id
                    on e.original_rudder_id = cte_new_id.original_rudder_id
                where e.rudder_id != cte_new_id.new_rudder_id
                """
            ).rowcount
            connection.execute(
                """
                analyze lower_now;
                delete from stitched using lower_now
                where lower_now.original_rudder_id = stitched.original_rudder_id;
                insert into stitched select * from lower_now;
                drop table lower_now;
                analyze stitched
                """
            )
    row = connection.execute(
        """
        select count(distinct rudder_id), (
            select count(distinct found_by_us.person_node)
            from ints inner join found_by_us on ints.a = found_by_us.node_id
        )
        from stitched
        """
    ).fetchone()
    connection.execute("drop table stitched")
    if row is None or row[0] != row[1]:
        raise RuntimeError(f"the peer found other components: {row}")
    return figure, passes


# -- a graph in a process of its own, so that memory is its own ------------------------


def one_graph(address: str, edges: int, parts: dict[str, str]) -> dict[str, Any]:
    """All that is asked of one graph; memory is the client's and the backend's peak."""
    found: dict[str, Any] = {}
    with psycopg.connect(address, autocommit=True) as connection:
        size, count = fill(connection, edges)
        found.update(identifiers=size, edges=count)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("set max_parallel_workers_per_gather = 0; set jit = off")
        connection.execute("set maintenance_work_mem = '256MB'")
        client = peak_memory()
        for name, figure in full_build(connection).items():
            found[name] = asdict(figure) | {"cpu": figure.cpu}
        found["memory"] = max(peak_memory(), client) + private_memory(connection)
        if "peers" in parts:
            connection.execute("set work_mem = '512MB'")
            for name, figure in on_integers(connection, size).items():
                found[name] = asdict(figure) | {"cpu": figure.cpu}
        if "stitching" in parts:
            figure, passes = stitching(connection)
            found["dbt-id-stitching"] = asdict(figure) | {
                "cpu": figure.cpu, "passes": passes,
            }  # fmt: skip
        if "increment" in parts:
            connection.execute("reset work_mem")
            changes = int(parts["increment"])
            figures = [
                increment(connection, size, count, changes, turn)
                for turn in range(TURNS)
            ]
            figure = middle(figures)
            found["increment"] = asdict(figure) | {"cpu": figure.cpu}
    return found


def private_memory(connection: psycopg.Connection[Any]) -> int:
    """Bytes that the server's process has had of its own at most (no shared buffers)."""
    status = Path(f"/proc/{connection.info.backend_pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    peak = int(fields["VmHWM"].split()[0]) - int(fields["RssShmem"].split()[0])
    return max(peak, 0) * 1024


def main(arguments: list[str]) -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench identity", description=__doc__
    )
    parser.add_argument(
        "--edges", type=int, default=5_000_000, help="of the full build"
    )
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        address, edges, parts = chosen.one
        print(json.dumps(one_graph(address, int(edges), json.loads(parts))))
        return
    small, large = chosen.edges // 5, 2 * chosen.edges
    changes = chosen.edges // 100
    wanted = [
        (small, {"peers": "yes", "stitching": "yes", "increment": changes}),
        (chosen.edges, {"peers": "yes"}),
        (large, {"increment": changes}),
    ]
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    password = secrets.token_hex(8)
    cluster = Cluster(home / "postgres", free_port(), password)
    found = {}
    try:
        cluster.start(
            shared_buffers="4GB", max_wal_size="16GB", autovacuum="off",
            checkpoint_timeout="1h",
        )  # fmt: skip
        for edges, parts in wanted:
            name = f"graph{edges}"
            setup(cluster.dsn(name), dict.fromkeys(LOGIN_ROLES, password))
            done = subprocess.run(
                [
                    sys.executable, "-m", "bench", "identity",
                    "--one", cluster.dsn(name), str(edges), json.dumps(parts),
                ],
                check=True, stdout=subprocess.PIPE, text=True, env={**os.environ},
            )  # fmt: skip
            found[edges] = json.loads(done.stdout)
            _print(edges, found[edges])
            with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
                connection.execute(f"drop database {name} with (force)")
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)
    _compare(found, small, chosen.edges, large)


def _print(edges: int, found: dict[str, Any]) -> None:
    print(f"{found['edges']:,} edges, {found['identifiers']:,} identifiers")
    for name, value in found.items():
        if isinstance(value, dict):
            print(
                f"  {name:22} {value['cpu']:8.2f} CPU s ({value['client_cpu']:.2f} client,"
                f" {value['server_cpu']:.2f} server), {value['seconds']:.2f} s"
                + (f", {value['passes']} passes" if "passes" in value else "")
            )
    print(f"  memory of client and backend {found['memory'] / 1e9:.2f} GB", flush=True)


def _compare(found: dict[int, Any], small: int, edges: int, large: int) -> None:
    """Each promise with its figure."""

    def cpu(size: int, *names: str) -> float:
        return float(sum(found[size][name]["cpu"] for name in names))

    rows: list[tuple[str, float, str]] = [
        ("full build before keys, CPU s", cpu(edges, "persons"), "≤ 8 at 5 million"),
        ("full build with keys, CPU s", cpu(edges, "persons", "keys"), "≤ 15"),
        ("memory, GB", found[edges]["memory"] / 1e9, "≤ 2.2"),
        (
            "PL/pgSQL union-find : ours, on integers",
            cpu(edges, "PL/pgSQL union-find") / cpu(edges, "ours on integers"),
            "≥ 4",
        ),
        (
            f"dbt-id-stitching : ours, {small:,} edges, on integers",
            cpu(small, "dbt-id-stitching") / cpu(small, "ours on integers"),
            "≥ 100 at 1 million",
        ),
        (
            "dbt-id-stitching on integers : ours from texts",
            cpu(small, "dbt-id-stitching") / cpu(small, "persons"),
            "",
        ),
        (
            "twice the edges, CPU",
            cpu(large, "persons") / cpu(edges, "persons"),
            "≤ 2.3",
        ),
        (
            f"increment of {edges // 100:,} on {large:,}, s",
            found[large]["increment"]["seconds"],
            "≤ 3",
        ),
        (
            f"the same on {small:,} : CPU ratio",
            cpu(large, "increment") / cpu(small, "increment"),
            "≤ 1.3",
        ),
    ]
    for name, value, promise in rows:
        print(f"{name:48} {value:10.2f}   {promise}")
