"""Who is who: the connected components of the joining edges, kept up to date.

dbt decides what joins whom (`identity.int_identifiers`, `identity.identity_edges`) and
notes what it changed (`identity.changed_nodes`, `identity.changed_edges`). A graph is not
SQL's work, so the components are found here: a run reads what changed and the persons it
touches, and leaves in `identity.node_persons` what reading everything would leave. The
person of an identifier is the node of the person's oldest identifier.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

import numpy as np

from pipeline.arrays import NULL, answer, array, columns, copy_pairs
from pipeline.components import KINDS, NEVER, Lookup, bridges, components, oldest
from pipeline.errors import PipelineError
from pipeline.log import say, warn
from pipeline.warehouse import connect

if TYPE_CHECKING:
    import psycopg
    from numpy.typing import NDArray

    from pipeline.components import Int64s, Texts

# a person of more identifiers than this is reported with the edges that made it
LARGE_PERSON = 200
# up to so many identifiers a person has no row in identity.person_sizes
SMALL_PERSON = 20
# with more changes than this share of all nodes, or with more rows beside the table of
# them, to read everything costs less
MOST_CHANGES = 0.2
# edges of a large person that are reported
MOST_REPORTED = 20

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
VIEWS: LiteralString = """
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
        on node_persons.person_node = persons.node_id;

    create or replace view identity.person_history as
    select
        events.event_id,
        coalesce(persons.kind, gone.kind)
        || ':' || coalesce(persons.identifier, gone.identifier) as person_id,
        events.event,
        coalesce(others.kind, others_gone.kind)
        || ':' || coalesce(others.identifier, others_gone.identifier)
            as other_person_id,
        events.happened_at,
        events.person_node,
        events.other_node
    from identity.person_events as events
    left join identity.int_identifiers as persons
        on events.person_node = persons.node_id
    left join identity.former_nodes as gone
        on events.person_node = gone.node_id
    left join identity.int_identifiers as others
        on events.other_node = others.node_id
    left join identity.former_nodes as others_gone
        on events.other_node = others_gone.node_id
"""
CHANGED_NODES: LiteralString = f"""
    select
        changed.node_id,
        persons.person_node,
        (changed.was_first_seen_at is distinct from identifiers.first_seen_at)::int
            as is_other,
        (identifiers.node_id is not null)::int as lives
    from identity.changed_nodes as changed
    inner join identity.persons_of_nodes(
        array(select node_id from identity.changed_nodes)
    ) as persons using (node_id)
    left join identity.int_identifiers as identifiers
        on changed.node_id = identifiers.node_id and identifiers.{IN_GRAPH}
"""
CHANGED_EDGES: LiteralString = """
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
        )::int as is_joining,
        changed.was_joining::int as was_joining
    from identity.changed_edges as changed
    where changed.was_joining or changed.is_joining is not false
"""
# those of these persons that may have more identifiers than so many: what lies in the
# small tables is counted, the rest has bounds
MAY_BE_LARGE: LiteralString = """
    select asked.person_node
    from unnest(%(asked)s::bigint[]) as asked (person_node)
    cross join lateral (
        select
            sum(
                coalesce(person_sizes.identifiers, %(small)s)
                + (
                    select count(*) from identity.node_persons_moved as moved
                    where moved.person_node = rows.person_node
                )
            ) as identifiers
        from (
            select asked.person_node
            union all
            select person_merges.person_node from identity.person_merges
            where person_merges.into_node = asked.person_node
        ) as rows
        left join identity.person_sizes
            on rows.person_node = person_sizes.person_node
    ) as most
    where most.identifiers > %(limit)s
"""
# whoever is named in an event was a person, and has an event of its own when it ends
KEEP_TEXTS: LiteralString = """
    insert into identity.former_nodes (node_id, kind, identifier)
    select changed.node_id, changed.kind, changed.identifier
    from identity.changed_nodes as changed
    where
        (%(dead)s::bigint[] is null or changed.node_id = any(%(dead)s::bigint[]))
        and not exists (
            select from identity.int_identifiers as identifiers
            where identifiers.node_id = changed.node_id
        )
        and exists (
            select from identity.person_events as events
            where events.person_node = changed.node_id
        )
    on conflict do nothing
"""


@dataclass
class Counts:
    """What a run read and wrote."""

    is_full: bool
    nodes_read: int = 0
    edges_read: int = 0
    rows_written: int = 0
    events: dict[str, int] = field(default_factory=dict)
    # nodes of persons: those that were touched, as they were and as they are; those of
    # them that may have grown; after reading everything, those above the limit
    touched: Int64s = field(default_factory=lambda: np.empty(0, np.int64))
    grown: Int64s = field(default_factory=lambda: np.empty(0, np.int64))
    # nodes that are not in the graph any more; None: any that changed
    dead: Int64s | None = None
    large: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        kind = "everything" if self.is_full else "what changed"
        events = ", ".join(f"{n} {event}" for event, n in sorted(self.events.items()))
        return (
            f"read {kind}: {self.nodes_read} identifiers and {self.edges_read} edges; "
            f"{self.rows_written} rows of persons changed"
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
            + (select count(*) from identity.changed_edges)
            + rows_since_built,
            (
                select greatest(reltuples, 0) from pg_class
                where oid = 'identity.node_persons_built'::regclass
            )
        from identity.identify_state
        """
    ).fetchone()
    assert row is not None
    full = full or row[0] or row[1] > max(1000.0, MOST_CHANGES * row[2])
    counts = build(connection) if full else _increment(connection)
    connection.execute(
        "insert into identity.touched_persons (person_node) select unnest(%s::bigint[])",
        (array(counts.touched),),
    )
    connection.execute(VIEWS)
    dead = None if counts.dead is None else array(counts.dead)
    connection.execute(KEEP_TEXTS, {"dead": dead})
    connection.execute(
        "truncate identity.changed_nodes, identity.changed_edges, "
        "identity.changed_identifiers"
    )
    connection.execute(
        """
        update identity.identify_state
        set
            is_full_needed = false,
            are_all_touched = are_all_touched or %(full)s,
            rows_since_built
            = case when %(full)s then 0 else rows_since_built + %(rows)s end,
            first_built_at = coalesce(first_built_at, clock_timestamp()),
            last_built_at = clock_timestamp()
        """,
        {"full": counts.is_full, "rows": counts.rows_written},
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
    sizes = np.bincount(chosen)
    counts.large = ids[np.flatnonzero(sizes > LARGE_PERSON)].tolist()
    notable = np.flatnonzero(sizes > SMALL_PERSON)
    del chosen
    old_ids, old_persons, is_one_table = _pairs(connection)
    counts.rows_written = _replace(
        connection, ids, persons, old_ids, old_persons, index=index,
        rewrite=not is_one_table,
    )  # fmt: skip
    connection.execute("truncate identity.person_sizes")
    copy_pairs(
        connection,
        "identity.person_sizes (person_node, identifiers)",
        ids[notable],
        sizes[notable],
    )
    if len(old_ids):
        counts.events = _note_events(
            connection, _fates(ids, persons, old_ids, old_persons)
        )
    return counts


def _pairs(connection: psycopg.Connection[Any]) -> tuple[Int64s, Int64s, bool]:
    """Nodes and persons as they are, and whether one table holds them all."""
    ids, persons = columns(
        connection,
        "identity.node_persons_built",
        ("int8send(node_id)", "int8send(person_node)"),
    )
    moved, moved_to = answer(
        connection,
        "select node_id, person_node from identity.node_persons_moved",
        "node_id, person_node",
    )
    merged, into = answer(
        connection,
        "select person_node, into_node from identity.person_merges order by 1",
        "person_node, into_node",
    )
    if len(moved):
        stays, lives = ~np.isin(ids, moved), moved_to != NULL
        ids = np.concatenate([ids[stays], moved[lives]])
        persons = np.concatenate([persons[stays], moved_to[lives]])
    if len(merged):
        place = np.searchsorted(merged, persons)
        is_merged = np.take(merged, place, mode="clip") == persons
        persons[is_merged] = into[place[is_merged]]
    return ids, persons, not (len(moved) or len(merged))


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
    rewrite: bool,
) -> int:
    """Write the pairs; returns how many differ from those that were there.

    Without a difference nothing is written, unless `rewrite` wants one table of three.
    """
    rows = len(ids)
    if len(old_ids):
        now, before = _in_order(ids, persons), _in_order(old_ids, old_persons)
        if np.array_equal(now, before) and not rewrite:
            return 0
        common = np.intersect1d(
            now.view([("n", "i8"), ("p", "i8")]).ravel(),
            before.view([("n", "i8"), ("p", "i8")]).ravel(),
            assume_unique=True,
        )
        rows = max(len(now), len(before)) - len(common)
        del now, before
    drop_keys(connection)
    connection.execute(
        "truncate identity.node_persons_built, identity.node_persons_moved, "
        "identity.person_merges"
    )
    # nobody sees the table before this transaction ends: its rows need no second look
    copy_pairs(
        connection,
        "identity.node_persons_built (node_id, person_node)",
        ids,
        persons,
        ", freeze",
    )
    if index:
        index_persons(connection)
    return rows


def drop_keys(connection: psycopg.Connection[Any]) -> None:
    """To write the rows first and the keys after costs half."""
    connection.execute(
        "drop index if exists identity.node_persons_built_key, "
        "identity.node_persons_built_by_person"
    )


def index_persons(connection: psycopg.Connection[Any]) -> None:
    """The keys of identity.node_persons_built, and what the planner has to know of it.

    Each holds the whole row: to look one up reads no second page.
    """
    connection.execute(
        "create unique index if not exists node_persons_built_key "
        "on identity.node_persons_built (node_id) include (person_node)"
    )
    connection.execute(
        "create index if not exists node_persons_built_by_person "
        "on identity.node_persons_built (person_node) include (node_id)"
    )
    connection.execute("analyze identity.node_persons_built")


def _in_order(ids: Int64s, persons: Int64s) -> np.ndarray[Any, Any]:
    order = np.argsort(ids)
    return np.ascontiguousarray(np.stack([ids[order], persons[order]], axis=1))


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
    nodes, persons, is_other, lives = answer(
        connection, CHANGED_NODES, "node_id, person_node, is_other, lives"
    )
    had, lives = persons != NULL, lives == 1
    born, lost = nodes[lives & ~had], nodes[had & ~lives]
    lost_persons = persons[had & ~lives]
    left, right, is_joining, was_joining = answer(
        connection, CHANGED_EDGES, "left_node, right_node, is_joining, was_joining"
    )
    counts.edges_read = len(left)
    left_person, right_person = _persons_of(connection, left, right)
    is_cut = (was_joining == 1) & (is_joining == 0)
    dirty = np.unique(
        np.concatenate(
            [
                persons[had & ~(lives & (is_other == 0))],
                left_person[is_cut],
                right_person[is_cut],
            ]
        )
    )
    dirty = dirty[dirty != NULL]
    members, row_persons, member_persons = _members(connection, dirty)
    stays = ~np.isin(members, lost)
    whole = np.concatenate([members[stays], born])
    whole_before = np.concatenate([member_persons[stays], np.full(len(born), NULL)])
    whole_rows = np.concatenate([row_persons[stays], np.full(len(born), NULL)])
    inside = _edges_inside(connection, whole)
    counts.edges_read += len(inside[0])
    # what is not read whole stands as one point: its person's oldest node
    is_new = (is_joining == 1) & ((left_person == NULL) | (left_person != right_person))
    pairs = [
        np.concatenate([old, np.where(np.isin(node, whole), node, person)])
        for old, node, person in (
            (inside[0], left[is_new], left_person[is_new]),
            (inside[1], right[is_new], right_person[is_new]),
        )
    ]
    if min(pair.min(initial=0) for pair in pairs) == NULL:
        raise PipelineError(_unknown(connection))
    standing = np.setdiff1d(np.concatenate(pairs), whole)
    points = np.concatenate([whole, standing])
    before = np.concatenate([whole_before, standing])
    counts.nodes_read = len(points)
    now = _oldest_of(connection, points, *pairs)
    whole_now, standing_now = now[: len(whole)], now[len(whole) :]
    moved, merged = whole_now != whole_rows, standing_now != standing
    counts.rows_written = _write(
        connection,
        dirty,
        (
            np.concatenate([whole[moved], lost]),
            np.concatenate([whole_now[moved], np.full(len(lost), NULL)]),
        ),
        (standing[merged], standing_now[merged]),
    )
    connection.execute(FREELY)
    had = before != NULL
    counts.touched = np.unique(np.concatenate([now, before[had], dirty]))
    counts.grown = np.unique(now[now != before])
    counts.dead = nodes[~lives]
    counts.events = _note_events(
        connection,
        _fates(
            points,
            now,
            np.concatenate([points[had], lost]),
            np.concatenate([before[had], lost_persons]),
        ),
    )
    return counts


def _persons_of(
    connection: psycopg.Connection[Any], *nodes: Int64s
) -> tuple[Int64s, ...]:
    """The person of each of these nodes; NULL where it has none."""
    known, persons = answer(
        connection,
        "select * from identity.persons_of_nodes(%s::bigint[])",
        "node_id, person_node",
        (array(np.unique(np.concatenate(nodes))),),
    )
    order = np.argsort(known)
    known, persons = known[order], persons[order]
    return tuple(persons[np.searchsorted(known, each)] for each in nodes)


def _members(
    connection: psycopg.Connection[Any], persons: Int64s
) -> tuple[Int64s, Int64s, Int64s]:
    """The nodes of these persons, the person that each one's row names, and its own."""
    nodes, row_persons, own = answer(
        connection,
        "select * from identity.nodes_of_persons(%s::bigint[])",
        "node_id, row_person, person_node",
        (array(persons),),
    )
    return nodes, row_persons, own


def _edges_inside(
    connection: psycopg.Connection[Any], nodes: Int64s
) -> tuple[Int64s, Int64s]:
    """The joining edges between these nodes, some of them more than once."""
    left, right = answer(
        connection,
        """
        select edges.left_node, edges.right_node
        from unnest(%s::bigint[]) as members (node_id)
        inner join identity.identity_edges as edges
            on members.node_id = edges.left_node and edges.is_joining
        """,
        "left_node, right_node",
        (array(np.sort(nodes)),),
    )
    is_inside = np.isin(right, nodes)
    return left[is_inside], right[is_inside]


def _oldest_of(
    connection: psycopg.Connection[Any], points: Int64s, left: Int64s, right: Int64s
) -> Int64s:
    """The oldest node of each point's component."""
    order = np.argsort(points)
    ids = points[order]
    known, first_seen = answer(
        connection,
        """
        select identifiers.node_id, identifiers.first_seen_at
        from unnest(%s::bigint[]) as asked (node_id)
        inner join identity.int_identifiers as identifiers using (node_id)
        """,
        "node_id",
        (array(ids),),
        moments="first_seen_at",
    )
    moments = np.full(len(ids), NEVER)
    moments[np.searchsorted(ids, known)] = first_seen
    ends = (np.searchsorted(ids, each).astype(np.int32) for each in (left, right))
    lowest = components(len(ids), *ends)
    chosen = oldest(lowest, ids, moments, _ranks(connection), _texts_of(connection))
    found = np.empty_like(points)
    found[order] = ids[chosen]
    return found


def _write(
    connection: psycopg.Connection[Any],
    dirty: Int64s,
    moved: tuple[Int64s, Int64s],
    merged: tuple[Int64s, Int64s],
) -> int:
    """Write nodes that moved by themselves, and persons that became part of another.

    Persons that were read whole (`dirty`) have nobody merged into them any more: each of
    their nodes says itself whose it is. Returns how many rows changed.
    """
    parted = connection.execute(
        "delete from identity.person_merges where into_node = any(%s::bigint[])",
        (array(dirty),),
    ).rowcount
    pairs = tuple(map(array, moved))
    connection.execute(
        f"""
        insert into identity.node_persons_moved (node_id, person_node)
        select node_id, nullif(person_node, {NULL})
        from unnest(%s::bigint[], %s::bigint[]) as moved (node_id, person_node)
        on conflict (node_id) do update set person_node = excluded.person_node
        """,
        pairs,
    )
    pairs = tuple(map(array, merged))
    connection.execute(
        """
        update identity.person_merges
        set into_node = merged.into_node
        from unnest(%s::bigint[], %s::bigint[]) as merged (person_node, into_node)
        where person_merges.into_node = merged.person_node
        """,
        pairs,
    )
    connection.execute(
        "insert into identity.person_merges (person_node, into_node) "
        "select * from unnest(%s::bigint[], %s::bigint[])",
        pairs,
    )
    return parted + len(moved[0]) + len(merged[0])


# -- what became of persons ------------------------------------------------------------


def _fates(
    ids: Int64s, persons: Int64s, old_ids: Int64s, old_persons: Int64s
) -> list[tuple[str, Int64s, Int64s]]:
    """(event, persons, the other person of each or NULL) for all that became different.

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
    is_merge = ~is_split & (was_there | (sources[other_inverse] > 1))
    is_renamed = ~is_split & ~is_merge
    born = np.setdiff1d(live, np.concatenate([lived, now, pairs[:, 1]]))
    gone = np.setdiff1d(lived, np.concatenate([live, before, pairs[:, 0]]))
    return [
        ("split", *pairs[is_split].T),
        ("merged", *pairs[is_merge].T),
        ("renamed", *pairs[is_renamed].T),
        ("born", born, np.full(len(born), NULL)),
        ("gone", gone, np.full(len(gone), NULL)),
    ]


def _distinct(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pairs in order, each once."""
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    is_new = np.ones(len(pairs), dtype=bool)
    is_new[1:] = np.any(pairs[1:] != pairs[:-1], axis=1)
    found: NDArray[np.int64] = pairs[is_new]
    return found


def _note_events(
    connection: psycopg.Connection[Any], events: list[tuple[str, Int64s, Int64s]]
) -> dict[str, int]:
    """Write what became of persons; returns how many rows of each event."""
    for event, persons, others in events:
        connection.execute(
            f"""
            insert into identity.person_events (person_node, event, other_node)
            select person_node, %s, nullif(other_node, {NULL})
            from unnest(%s::bigint[], %s::bigint[])
            with ordinality as fates (person_node, other_node, place)
            order by place
            """,
            (event, array(persons), array(others)),
        )
    return {event: len(persons) for event, persons, _ in events if len(persons)}


# -- persons that grew too large -------------------------------------------------------


def note_large_persons(
    connection: psycopg.Connection[Any], counts: Counts
) -> list[tuple[str, int]]:
    """Write identity.large_persons; returns (person, identifiers) of the large ones.

    An edge is reported with the number of identifiers it alone ties to the rest: the
    most first, twenty of each person. Where no edge ties any alone, it is the edges of
    the identifier that has most.
    """
    if counts.is_full:
        connection.execute("truncate identity.large_persons")
        large = counts.large
    else:
        connection.execute(BY_INDEX)
        gone = connection.execute(
            "delete from identity.large_persons where person_node = any(%s::bigint[]) "
            "returning person_node",
            (array(counts.touched),),
        ).fetchall()
        large_before = np.array(gone, dtype=np.int64).ravel()
        (suspects,) = answer(
            connection,
            MAY_BE_LARGE,
            "person_node",
            {
                "asked": array(counts.grown),
                "small": SMALL_PERSON,
                "limit": LARGE_PERSON,
            },
        )
        _, _, persons = _members(connection, np.union1d(suspects, large_before))
        each, sizes = np.unique(persons, return_counts=True)
        large = each[sizes > LARGE_PERSON].tolist()
        connection.execute(FREELY)
    found = []
    for person in large:
        members, _, _ = _members(connection, np.array([person]))
        left, right = _edges_inside(connection, members)
        pairs = list(dict.fromkeys(zip(left.tolist(), right.tolist(), strict=True)))
        weak = bridges(members.tolist(), pairs)
        if not weak:
            ends = Counter(end for pair in pairs for end in pair)
            (busiest, _), *_ = ends.most_common(1)
            weak = [(pair, 0) for pair in pairs if busiest in pair]
        weak = weak[:MOST_REPORTED]
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
