"""Who is who: the connected components of the joining edges, kept up to date.

dbt decides what joins whom (`identity.int_identifiers`, `identity.identity_edges`) and
notes what it changed (`identity.changed_nodes`, `identity.changed_edges`). A graph is not
SQL's work, so the components are found here: a run reads what changed and the persons it
touches, and leaves in `identity.node_persons` what reading everything would leave. The
person of an identifier is the node of the person's oldest identifier.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

import numpy as np

from pipeline.components import KINDS, NEVER, Lookup, bridges, components, oldest
from pipeline.errors import PipelineError
from pipeline.log import say, warn
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg
    from numpy.typing import NDArray

    from pipeline.components import Int64s, Texts

# a person of more identifiers than this is reported with the edges that made it
LARGE_PERSON = 200
# with more changes than this share of all nodes, to read everything costs less
MOST_CHANGES = 0.2
# edges of a large person that are reported
MOST_REPORTED = 20
# pages of a table that one question reads: 128 MB of it
PAGES = 16_384
# rows of a table that one message brings: so many stay in the processor's cache
ROWS = 4096

IN_GRAPH: LiteralString = "standing in ('strong', 'joining')"
# deltas are small: their cost must follow the delta, not the table a plan would scan
BY_INDEX: LiteralString = """
    set local enable_hashjoin = off; set local enable_mergejoin = off;
    set local enable_seqscan = off; set local enable_bitmapscan = off;
    set local enable_sort = on; set local enable_memoize = off;
    set local max_parallel_workers_per_gather = 0
"""
FREELY: LiteralString = """
    set local enable_hashjoin = on; set local enable_mergejoin = on;
    set local enable_seqscan = on; set local enable_bitmapscan = on;
    set local enable_memoize = on
"""
ASSIGNED: LiteralString = """
    create or replace view identity.person_identifiers_assigned as
    select
        persons.kind || ':' || persons.identifier as person_id,
        identifiers.kind,
        identifiers.identifier,
        identifiers.first_seen_at,
        node_persons.node_id,
        node_persons.person_node
    from identity.node_persons
    inner join identity.int_identifiers as identifiers
        on node_persons.node_id = identifiers.node_id
    inner join identity.int_identifiers as persons
        on node_persons.person_node = persons.node_id
"""


@dataclass
class Counts:
    """What a run read and wrote."""

    is_full: bool
    nodes_read: int = 0
    edges_read: int = 0
    rows_written: int = 0
    events: dict[str, int] = field(default_factory=dict)
    # persons (their nodes) that were touched, and those of them above the limit
    large: list[int] = field(default_factory=list)
    touched: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        kind = "everything" if self.is_full else "what changed"
        events = ", ".join(f"{n} {event}" for event, n in sorted(self.events.items()))
        return (
            f"read {kind}: {self.nodes_read} identifiers and {self.edges_read} edges; "
            f"{self.rows_written} identifiers changed hands"
            + (f" (persons: {events})" if events else "")
        )


def identify(*, full: bool = False) -> Counts:
    """Bring identity.node_persons up to date; returns what was counted.

    One transaction as role transformer: a reader sees the old persons or the new.
    `full` reads everything whatever is noted. Raises PipelineError when an edge names
    an identifier that is not in int_identifiers, or one is in it twice.
    """
    with connect("transformer") as connection:
        counts = update(connection, full=full)
        large = note_large_persons(connection, counts)
    say(str(counts))
    for person, size in large:
        warn(
            f"person {person} has {size} identifiers: look at identity.large_persons "
            "for the edges that hold it together, and forbid the wrong one"
        )
    return counts


def update(connection: psycopg.Connection[Any], *, full: bool = False) -> Counts:
    """The work of `identify` inside the caller's transaction."""
    # nobody may note a change between our reading of the notes and their removal
    connection.execute(
        "lock table identity.changed_nodes, identity.changed_edges, "
        "identity.changed_identifiers, identity.identify_state in share mode"
    )
    row = connection.execute(
        """
        select
            is_full_needed,
            (select count(*) from identity.changed_nodes)
            + (select count(*) from identity.changed_edges),
            (
                select greatest(reltuples, 0) from pg_class
                where oid = 'identity.node_persons'::regclass
            )
        from identity.identify_state
        """
    ).fetchone()
    assert row is not None
    full = full or row[0] or row[1] > max(1000.0, MOST_CHANGES * row[2])
    counts = build(connection) if full else _increment(connection)
    connection.execute(
        "insert into identity.touched_persons (person_node) "
        "select unnest(%s::bigint[]) on conflict do nothing",
        (_array(counts.touched),),
    )
    connection.execute(ASSIGNED)
    connection.execute(
        "truncate identity.changed_nodes, identity.changed_edges, "
        "identity.changed_identifiers"
    )
    connection.execute(
        """
        update identity.identify_state
        set
            is_full_needed = false,
            are_all_touched = are_all_touched or %s,
            first_built_at = coalesce(first_built_at, clock_timestamp()),
            last_built_at = clock_timestamp()
        """,
        (counts.is_full,),
    )
    return counts


# -- everything ------------------------------------------------------------------------


def build(connection: psycopg.Connection[Any], *, index: bool = True) -> Counts:
    """Read all nodes and edges, and write the persons anew if they differ.

    `index=False` leaves the keys of the table to `index_persons`.
    """
    ids, first_seen, left, right = _graph(connection)
    lowest = components(len(ids), left, right)
    counts = Counts(is_full=True, nodes_read=len(ids), edges_read=len(left))
    del left, right
    chosen = oldest(lowest, ids, first_seen, _ranks(connection), _texts_of(connection))
    del lowest, first_seen
    persons = ids[chosen]
    counts.large = ids[np.flatnonzero(np.bincount(chosen) > LARGE_PERSON)].tolist()
    del chosen
    old_ids, old_persons = columns(
        connection,
        "identity.node_persons",
        ("int8send(node_id)", "int8send(person_node)"),
    )
    counts.rows_written = _replace(
        connection, ids, persons, old_ids, old_persons, index=index
    )
    if len(old_ids):
        counts.events = _note_events(
            connection, _fates(ids, persons, old_ids, old_persons), {}
        )
    return counts


def _graph(
    connection: psycopg.Connection[Any],
) -> tuple[Int64s, Int64s, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Node ids, when each was first seen, and edges by position in the two.

    Texts stay in the database: their 64-bit hashes come over and are looked up here,
    with another seed should two of them ever be equal.
    """
    for seed in range(5):
        kind_id = f"hashtextextended({{0}}, hashtextextended({{1}}, {seed}))"
        ids, first_seen, hashes = columns(
            connection,
            "identity.int_identifiers",
            (
                "int8send(node_id)",
                "timestamptz_send(coalesce(first_seen_at, 'infinity'))",
                f"int8send({kind_id.format('identifier', 'kind')})",
            ),
            IN_GRAPH,
        )
        try:
            lookup = Lookup(hashes)
        except ValueError:
            continue
        left, right = (
            lookup.positions(side)
            for side in columns(
                connection,
                "identity.identity_edges",
                (
                    f"int8send({kind_id.format('left_id', 'left_kind')})",
                    f"int8send({kind_id.format('right_id', 'right_kind')})",
                ),
                "is_joining",
            )
        )
        if min(left.min(initial=0), right.min(initial=0)) < 0:
            raise PipelineError(_unknown(connection))
        return ids, first_seen, left, right
    raise PipelineError(
        "identity.int_identifiers lists an identifier twice: build station "
        "build_identifiers again with --full-refresh"
    )


def _unknown(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(
        f"""
        select edges.kind, edges.identifier
        from (
            select left_kind as kind, left_id as identifier
            from identity.identity_edges where is_joining
            union all
            select right_kind, right_id
            from identity.identity_edges where is_joining
        ) as edges
        where not exists (
            select from identity.int_identifiers as identifiers
            where
                identifiers.kind = edges.kind
                and identifiers.identifier = edges.identifier
                and {IN_GRAPH}
        )
        limit 1
        """
    ).fetchone()
    name = ":".join(row)[:200] if row else "?"
    return (
        "identity.identity_edges joins an identifier that identity.int_identifiers "
        f"does not list as joining: {name}"
    )


def columns(
    connection: psycopg.Connection[Any],
    table: LiteralString,
    expressions: tuple[str, ...],
    condition: str = "true",
) -> tuple[Int64s, ...]:
    """8-byte columns of a table in its physical order, as arrays.

    The server packs a few thousand pages into one value each: to take millions of rows
    one by one costs the client more than the whole rest.
    """
    parts: list[list[np.ndarray[Any, Any]]] = [[] for _ in expressions]
    packed = ", ".join(f"string_agg({each}, ''::bytea)" for each in expressions)
    for pages in _page_ranges(connection, table):
        row = connection.execute(
            f"select {packed} from {table} where ({condition}) and {pages}",
            binary=True,
        ).fetchone()
        assert row is not None
        for part, value in zip(parts, row, strict=True):
            part.append(np.frombuffer(value or b"", dtype=">i8"))
    found = []
    while parts:
        found.append(np.concatenate(parts.pop(0), dtype=np.int64))
    return tuple(found)


def _page_ranges(
    connection: psycopg.Connection[Any], table: LiteralString
) -> Iterator[str]:
    row = connection.execute(
        "select pg_relation_size(%s::regclass) / current_setting('block_size')::int",
        (table,),
    ).fetchone()
    assert row is not None
    for page in range(0, max(int(row[0]), 1), PAGES):
        yield f"ctid >= '({page},0)' and ctid < '({page + PAGES},0)'"


def _ranks(connection: psycopg.Connection[Any]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """By a kind's code, its place among the kinds in the order of their names."""
    kinds: list[tuple[str, int]] = connection.execute(
        "select kind, code from identity.node_kinds"
    ).fetchall()
    ranks = np.full(KINDS, KINDS, dtype=np.int16)
    for rank, (_, code) in enumerate(sorted(kinds)):
        ranks[code] = rank
    return ranks


def _texts_of(connection: psycopg.Connection[Any]) -> Any:
    def texts(ids: Int64s) -> Texts:
        return {
            node: (kind, identifier)
            for node, kind, identifier in connection.execute(
                "select node_id, kind, identifier from identity.int_identifiers "
                "where node_id = any(%s)",
                (ids.tolist(),),
            )
        }

    return texts


def _replace(
    connection: psycopg.Connection[Any],
    ids: Int64s,
    persons: Int64s,
    old_ids: Int64s,
    old_persons: Int64s,
    *,
    index: bool,
) -> int:
    """Write the pairs; returns how many differ from those that were there."""
    rows = len(ids)
    if len(old_ids):
        now, before = _in_order(ids, persons), _in_order(old_ids, old_persons)
        if np.array_equal(now, before):
            return 0
        common = np.intersect1d(
            now.view([("n", "i8"), ("p", "i8")]).ravel(),
            before.view([("n", "i8"), ("p", "i8")]).ravel(),
            assume_unique=True,
        )
        rows = max(len(now), len(before)) - len(common)
        del now, before
    connection.execute("drop index if exists identity.node_persons_key")
    connection.execute("drop index if exists identity.node_persons_by_person")
    connection.execute("truncate identity.node_persons")
    # nobody sees the table before this transaction ends: its rows need no second look
    copy_pairs(
        connection,
        "identity.node_persons (node_id, person_node)",
        ids,
        persons,
        ", freeze",
    )
    if index:
        index_persons(connection)
    return rows


def index_persons(connection: psycopg.Connection[Any]) -> None:
    """The keys of identity.node_persons, and what the planner has to know of it."""
    connection.execute(
        "create unique index if not exists node_persons_key "
        "on identity.node_persons (node_id)"
    )
    connection.execute(
        "create index if not exists node_persons_by_person "
        "on identity.node_persons (person_node)"
    )
    connection.execute("analyze identity.node_persons")


def _in_order(ids: Int64s, persons: Int64s) -> np.ndarray[Any, Any]:
    order = np.argsort(ids)
    return np.ascontiguousarray(np.stack([ids[order], persons[order]], axis=1))


def copy_pairs(
    connection: psycopg.Connection[Any],
    table: str,
    left: NDArray[np.integer],
    right: NDArray[np.integer],
    options: LiteralString = "",
) -> None:
    """COPY two bigint columns in; `table` names them: `t (a, b)`."""
    rows = np.empty(
        min(len(left), ROWS),
        dtype=[
            ("fields", ">i2"),
            ("left_size", ">i4"), ("left", ">i8"),
            ("right_size", ">i4"), ("right", ">i8"),
        ],
    )  # fmt: skip
    rows["fields"], rows["left_size"], rows["right_size"] = 2, 8, 8
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy {table} from stdin (format binary{options})") as copy,
    ):
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for start in range(0, len(left), ROWS):
            part = rows[: len(left) - start]
            part["left"] = left[start : start + ROWS]
            part["right"] = right[start : start + ROWS]
            copy.write(part.tobytes())
        copy.write(struct.pack(">h", -1))


# -- what changed ----------------------------------------------------------------------


def _increment(connection: psycopg.Connection[Any]) -> Counts:
    """Read the changes and the persons they touch; write what became different.

    A person that lost an edge or a node, or whose nodes were first seen at another time
    than before, is read whole: its nodes and edges. Any other takes part as one node,
    its oldest: joining more to it can only merge it.
    """
    counts = Counts(is_full=False)
    connection.execute("analyze identity.changed_nodes, identity.changed_edges")
    connection.execute(BY_INDEX)
    nodes = _rows(
        connection,
        f"""
        select
            changed.node_id,
            node_persons.person_node,
            changed.was_first_seen_at is distinct from identifiers.first_seen_at,
            identifiers.node_id is not null
        from identity.changed_nodes as changed
        left join identity.int_identifiers as identifiers
            on
                changed.node_id = identifiers.node_id
                and identifiers.{IN_GRAPH}
        left join identity.node_persons
            on changed.node_id = node_persons.node_id
        """,
    )
    born = [node for node, person, _, lives in nodes if lives and person is None]
    lost = {
        node: person
        for node, person, _, lives in nodes
        if not lives and person is not None
    }
    dirty = {
        person
        for _, person, is_other, lives in nodes
        if person is not None and (is_other or not lives)
    }
    edges = _rows(
        connection,
        """
        select
            changed.left_node,
            changed.right_node,
            coalesce(
                changed.is_joining,
                exists (
                    select from identity.identity_edges as edges
                    where
                        edges.left_node = changed.left_node
                        and edges.right_node = changed.right_node
                        and edges.is_joining
                )
            ),
            changed.was_joining
        from identity.changed_edges as changed
        where changed.was_joining or changed.is_joining is not false
        """,
    )
    person_of: dict[int, int] = dict(
        _rows(
            connection,
            "select node_id, person_node from identity.node_persons "
            "where node_id = any(%s::bigint[])",
            (_array(sorted({node for edge in edges for node in edge[:2]})),),
        )
    )
    added: list[tuple[int, int]] = []
    for left, right, is_joining, was_joining in edges:
        left_person, right_person = person_of.get(left), person_of.get(right)
        if is_joining:
            if left_person is None or left_person != right_person:
                added.append((left, right))
        elif was_joining:
            dirty |= {left_person, right_person} - {None}
    counts.edges_read = len(edges)
    members = _members(connection, dirty, lost, born)
    if any(
        node not in person_of and node not in members for pair in added for node in pair
    ):
        raise PipelineError(_unknown(connection))
    inside = _edges_inside(connection, members)
    counts.edges_read += len(inside)
    # what is not read whole stands as one point: its person's oldest node
    inside += [
        (
            left if left in members else person_of[left],
            right if right in members else person_of[right],
        )
        for left, right in added
    ]
    points: dict[int, int | None] = dict(members)
    for pair in inside:
        for point in pair:
            points.setdefault(point, point)
    counts.nodes_read = len(points)
    now, names = _persons_of(connection, list(points), inside)
    changed = {node: new for node, new in now.items() if points[node] != new}
    _write(connection, counts, members, lost, changed)
    connection.execute(FREELY)
    before_persons = {old for old in points.values() if old is not None}
    counts.touched = sorted({*now.values(), *before_persons, *dirty})
    before = {node: old for node, old in points.items() if old is not None}
    counts.events = _note_events(
        connection,
        _fates(
            np.fromiter(now.keys(), np.int64, len(now)),
            np.fromiter(now.values(), np.int64, len(now)),
            np.array([*before, *lost], dtype=np.int64),
            np.array([*before.values(), *lost.values()], dtype=np.int64),
        ),
        names,
    )
    return counts


def _members(
    connection: psycopg.Connection[Any],
    dirty: set[int],
    lost: dict[int, int],
    born: list[int],
) -> dict[int, int | None]:
    """The nodes of these persons but the lost, and the new ones: the person each had."""
    members: dict[int, int | None] = {
        node: person
        for node, person in _rows(
            connection,
            "select node_id, person_node from identity.node_persons "
            "where person_node = any(%s::bigint[])",
            (_array(sorted(dirty)),),
        )
        if node not in lost
    }
    members.update(dict.fromkeys(born))
    return members


def _edges_inside(
    connection: psycopg.Connection[Any], members: dict[int, int | None]
) -> list[tuple[int, int]]:
    """The joining edges between these nodes."""
    connection.execute("create temp table members (node_id bigint, same bigint)")
    nodes = np.fromiter(members, np.int64, len(members))
    copy_pairs(connection, "members (node_id, same)", nodes, nodes)
    connection.execute("create unique index on members (node_id)")
    connection.execute("analyze members")
    found = _rows(
        connection,
        """
        select distinct edges.left_node, edges.right_node
        from members
        inner join identity.identity_edges as edges
            on members.node_id = edges.left_node and edges.is_joining
        inner join members as others on edges.right_node = others.node_id
        """,
    )
    connection.execute("drop table members")
    return found


def _persons_of(
    connection: psycopg.Connection[Any],
    points: list[int],
    pairs: list[tuple[int, int]],
) -> tuple[dict[int, int], Texts]:
    """The oldest node of each point's component, and what the points are called."""
    ids = np.array(sorted(points), dtype=np.int64)
    first_seen = np.full(len(ids), NEVER, dtype=np.int64)
    found = _rows(
        connection,
        """
        select
            node_id, timestamptz_send(coalesce(first_seen_at, 'infinity')), kind,
            identifier
        from identity.int_identifiers
        where node_id = any(%s::bigint[])
        """,
        (_array(ids.tolist()),),
    )
    first_seen[np.searchsorted(ids, np.array([row[0] for row in found], np.int64))] = (
        np.frombuffer(b"".join(row[1] for row in found), dtype=">i8")
    )
    names = {node: (kind, identifier) for node, _, kind, identifier in found}
    ends = np.searchsorted(ids, np.array(pairs, dtype=np.int64).reshape(-1, 2))
    lowest = components(len(ids), *ends.T.astype(np.int32))
    chosen = oldest(lowest, ids, first_seen, _ranks(connection), lambda _: names)
    return dict(zip(ids.tolist(), ids[chosen].tolist(), strict=True)), names


def _write(
    connection: psycopg.Connection[Any],
    counts: Counts,
    members: dict[int, int | None],
    lost: dict[int, int],
    changed: dict[int, int],
) -> None:
    """Take out, put in and change the rows of identity.node_persons."""
    cursor = connection.execute(
        "delete from identity.node_persons where node_id = any(%s::bigint[])",
        (_array(lost),),
    )
    counts.rows_written += cursor.rowcount
    # by person: what is side by side in the index comes one after the other
    changed = dict(sorted(changed.items(), key=lambda pair: pair[1]))
    new = {n: person for n, person in changed.items() if n in members}
    born = [node for node in new if members[node] is None]
    moved = [node for node in new if members[node] is not None]
    merged = sorted(person for person in changed if person not in members)
    copy_pairs(
        connection,
        "identity.node_persons (node_id, person_node)",
        np.array(born, dtype=np.int64),
        np.array([new[node] for node in born], dtype=np.int64),
    )
    counts.rows_written += len(born)
    # a row of `node_persons` is looked for by each change, whatever the planner believes
    for nodes, column in ((moved, "node_id"), (merged, "person_node")):
        counts.rows_written += connection.execute(
            f"""
            update identity.node_persons
            set person_node = changed.new
            from
                unnest(%s::bigint[], %s::bigint[]) as changed (old, new)
                cross join lateral (
                    select rows.ctid as place from identity.node_persons as rows
                    where rows.{column} = changed.old
                    offset 0
                ) as found
            where node_persons.ctid = found.place
            """,
            (_array(nodes), _array(changed[node] for node in nodes)),
        ).rowcount


def _array(numbers: Iterable[int]) -> str:
    """As Postgres reads an array: the driver takes ten times as long to write it."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _rows(
    connection: psycopg.Connection[Any],
    query: LiteralString,
    values: tuple[Any, ...] = (),
) -> list[Any]:
    """All rows, in Postgres' binary form: numbers need no reading."""
    return connection.execute(query, values or None, binary=True).fetchall()


# -- what became of persons ------------------------------------------------------------


def _fates(
    ids: Int64s, persons: Int64s, old_ids: Int64s, old_persons: Int64s
) -> list[tuple[int, str, int | None]]:
    """(person, event, other person) for all that are new, changed or no more.

    The arrays hold whole persons: each node's now, and each node's before.
    """
    order, old_order = np.argsort(ids), np.argsort(old_ids)
    ids, persons = ids[order], persons[order]
    old_ids, old_persons = old_ids[old_order], old_persons[old_order]
    _, place, old_place = np.intersect1d(
        ids, old_ids, assume_unique=True, return_indices=True
    )
    now, before = persons[place], old_persons[old_place]
    moved = now != before
    pairs = _distinct(np.stack([before[moved], now[moved]], axis=1))
    live, lived = np.unique(persons), np.unique(old_persons)
    stays = np.isin(pairs[:, 0], live)
    was_there = np.isin(pairs[:, 1], lived)
    _, inverse, targets = np.unique(
        pairs[:, 0], return_inverse=True, return_counts=True
    )
    _, other_inverse, sources = np.unique(
        pairs[:, 1], return_inverse=True, return_counts=True
    )
    is_split = stays | (targets[inverse] > 1)
    is_merge = was_there | (sources[other_inverse] > 1)
    events: list[tuple[int, str, int | None]] = [
        (old, "split" if split else "merged" if merge else "renamed", new)
        for (old, new), split, merge in zip(
            pairs.tolist(), is_split.tolist(), is_merge.tolist(), strict=True
        )
    ]
    held = np.union1d(now, pairs[:, 1])
    events += [
        (each, "born", None)
        for each in np.setdiff1d(np.setdiff1d(live, lived), held).tolist()
    ]
    kept = np.union1d(before, pairs[:, 0])
    events += [
        (each, "gone", None)
        for each in np.setdiff1d(np.setdiff1d(lived, live), kept).tolist()
    ]
    return events


def _distinct(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pairs in order, each once."""
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    is_new = np.ones(len(pairs), dtype=bool)
    is_new[1:] = np.any(pairs[1:] != pairs[:-1], axis=1)
    found: NDArray[np.int64] = pairs[is_new]
    return found


def _note_events(
    connection: psycopg.Connection[Any],
    events: list[tuple[int, str, int | None]],
    names: Texts,
) -> dict[str, int]:
    """Write what became of persons; returns how many rows of each event.

    `names` are those that are known already.
    """
    counts: dict[str, int] = {}
    for _, event, _ in events:
        counts[event] = counts.get(event, 0) + 1
    if not events:
        return counts
    persons = {one for one, _, _ in events}
    persons.update(other for _, _, other in events if other is not None)
    texts = {node: ":".join(names[node]) for node in persons & names.keys()}
    texts.update(
        _rows(
            connection,
            """
            select nodes.node_id, coalesce(
                identifiers.kind || ':' || identifiers.identifier,
                changed.kind || ':' || changed.identifier
            )
            from unnest(%s::bigint[]) as nodes (node_id)
            left join identity.int_identifiers as identifiers using (node_id)
            left join identity.changed_nodes as changed using (node_id)
            """,
            (_array(sorted(persons - texts.keys())),),
        )
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "copy identity.person_events (person_id, event, other_person_id) from stdin"
        ) as copy,
    ):
        for person, event, other in events:
            if texts[person] is not None:
                copy.write_row((texts[person], event, texts[other] if other else None))
    return counts


# -- persons that grew too large -------------------------------------------------------


def note_large_persons(
    connection: psycopg.Connection[Any], counts: Counts
) -> list[tuple[str, int]]:
    """Write identity.large_persons; returns (person, identifiers) of the large ones.

    An edge is reported with the number of identifiers it alone ties to the rest: the
    most first, twenty of each person.
    """
    if counts.is_full:
        connection.execute("truncate identity.large_persons")
        large = counts.large
    else:
        connection.execute(
            """
            delete from identity.large_persons
            using unnest(%s::bigint[]) as touched (node_id)
            where large_persons.person_node = touched.node_id
            """,
            (_array(counts.touched),),
        )
        large = [
            person
            for (person,) in connection.execute(
                """
                select person_node from identity.node_persons
                where person_node = any(%s::bigint[])
                group by person_node having count(*) > %s
                """,
                (_array(counts.touched), LARGE_PERSON),
            )
        ]
    found = []
    for person in large:
        members = _members(connection, {person}, {}, [])
        pairs = _edges_inside(connection, members)
        weak = bridges(list(members), pairs)[:MOST_REPORTED]
        connection.execute(
            """
            insert into identity.large_persons (
                person_node, person_id, identifiers, position, left_kind, left_id,
                right_kind, right_id, evidence, cuts_off
            )
            select
                persons.node_id, persons.kind || ':' || persons.identifier, %(size)s,
                weak.position, lefts.kind, lefts.identifier, rights.kind,
                rights.identifier,
                (
                    select string_agg(distinct edges.evidence, ', ')
                    from identity.identity_edges as edges
                    where
                        edges.is_joining
                        and edges.left_node = weak.left_node
                        and edges.right_node = weak.right_node
                ),
                weak.cuts_off
            from unnest(%(left)s::bigint[], %(right)s::bigint[], %(cuts)s::bigint[])
            with ordinality as weak (left_node, right_node, cuts_off, position)
            inner join identity.int_identifiers as lefts
                on weak.left_node = lefts.node_id
            inner join identity.int_identifiers as rights
                on weak.right_node = rights.node_id
            inner join identity.int_identifiers as persons
                on persons.node_id = %(person)s
            """,
            {
                "size": len(members),
                "person": person,
                "left": [pair[0] for pair, _ in weak],
                "right": [pair[1] for pair, _ in weak],
                "cuts": [cuts for _, cuts in weak],
            },
        )
        (name,) = _texts_of(connection)(np.array([person])).values()
        found.append((":".join(name), len(members)))
    return found
