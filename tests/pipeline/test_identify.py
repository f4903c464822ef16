"""Persons are the connected components, whatever was done in whatever order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pipeline import identify as step
from pipeline.components import NEVER, Lookup, bridges, components, oldest
from pipeline.errors import PipelineError
from pipeline.setup import setup

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 1, 1, tzinfo=UTC)
Node = tuple[str, str]  # kind, identifier
TABLES = """
drop table if exists identity.int_identifiers, identity.identity_edges cascade;
create table identity.int_identifiers (
    node_id bigint not null, kind text not null, identifier text not null,
    first_seen_at timestamptz, standing text not null
);
create unique index on identity.int_identifiers (kind, identifier);
create unique index on identity.int_identifiers (node_id);
create table identity.identity_edges (
    left_kind text not null, left_id text not null, right_kind text not null,
    right_id text not null, evidence text not null, is_joining boolean not null,
    left_node bigint not null, right_node bigint not null
);
create unique index on identity.identity_edges
(left_kind, left_id, right_kind, right_id, evidence);
create index on identity.identity_edges (right_kind, right_id);
create index on identity.identity_edges (left_node);
call identity.note_changes('identity.int_identifiers', 'nodes');
call identity.note_changes('identity.identity_edges', 'edges');
truncate identity.node_persons_built, identity.node_persons_moved,
identity.person_merges, identity.person_events, identity.former_nodes,
identity.large_persons, identity.changed_nodes, identity.changed_edges;
"""


class Graph:
    """The tables that dbt makes, changed row by row as a test wishes."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        connection.execute(TABLES)

    def node(
        self, kind: str, identifier: str, day: int | None = 0, standing: str = "joining"
    ) -> None:
        """As dbt writes it: the old row goes, the new one keeps its node id."""
        seen = None if day is None else START + timedelta(days=day)
        old = self.connection.execute(
            "delete from identity.int_identifiers where kind = %s and identifier = %s "
            "returning node_id",
            (kind, identifier),
        ).fetchone()
        self.connection.execute(
            """
            insert into identity.int_identifiers
            select
                coalesce(%s, nextval('identity.node_serials') * 64 + code),
                kind, %s, %s, %s
            from identity.node_kinds where kind = %s
            """,
            (old[0] if old else None, identifier, seen, standing, kind),
        )

    def forget(self, node: Node) -> None:
        """A node and all its edges are no more."""
        for side in ("left", "right"):
            self.connection.execute(
                f"delete from identity.identity_edges where {side}_kind = %s "
                f"and {side}_id = %s",
                node,
            )
        self.connection.execute(
            "delete from identity.int_identifiers where kind = %s and identifier = %s",
            node,
        )

    def edge(
        self, left: Node, right: Node, evidence: str = "call", joining: bool = True
    ) -> None:
        """A row of evidence, put in anew when it is there."""
        self.cut(left, right, evidence)
        self.connection.execute(
            """
            insert into identity.identity_edges
            select lefts.kind, lefts.identifier, rights.kind, rights.identifier,
                %s, %s, lefts.node_id, rights.node_id
            from identity.int_identifiers as lefts, identity.int_identifiers as rights
            where lefts.kind = %s and lefts.identifier = %s
            and rights.kind = %s and rights.identifier = %s
            """,
            (evidence, joining, *left, *right),
        )

    def cut(self, left: Node, right: Node, evidence: str = "call") -> None:
        """A row of evidence is no more."""
        self.connection.execute(
            """
            delete from identity.identity_edges
            where left_kind = %s and left_id = %s and right_kind = %s
            and right_id = %s and evidence = %s
            """,
            (*left, *right, evidence),
        )

    def run(self, *, full: bool = False) -> step.Counts:
        """One step `identify`."""
        with self.connection.transaction():
            counts = step.update(self.connection, full=full)
            step.note_large_persons(self.connection, counts)
        return counts

    def assigned(self) -> dict[Node, str]:
        """The person of each identifier."""
        rows = self.connection.execute(
            "select kind, identifier, person_id "
            "from identity.person_identifiers_assigned"
        ).fetchall()
        found = {(kind, identifier): person for kind, identifier, person in rows}
        assert len(found) == len(rows)
        return found

    def pairs(self) -> list[tuple[int, int]]:
        """What the table of persons holds, byte for byte."""
        return self.connection.execute(
            "select * from identity.node_persons order by 1"
        ).fetchall()

    def events(self) -> list[tuple[str, str, str | None]]:
        """What became of persons, oldest first."""
        return self.connection.execute(
            "select person_id, event, other_person_id from identity.person_history "
            "order by event_id"
        ).fetchall()

    def expected(self) -> dict[Node, str]:
        """The same by networkx, from the tables as they are."""
        graph: nx.Graph[Node] = nx.Graph()
        seen: dict[Node, tuple[datetime, str, str]] = {}
        for kind, identifier, at in self.connection.execute(
            "select kind, identifier, first_seen_at from identity.int_identifiers "
            "where standing in ('strong', 'joining')"
        ):
            graph.add_node((kind, identifier))
            latest = datetime.max.replace(tzinfo=UTC)
            seen[kind, identifier] = (at or latest, kind, identifier)
        for left_kind, left_id, right_kind, right_id in self.connection.execute(
            "select left_kind, left_id, right_kind, right_id "
            "from identity.identity_edges where is_joining"
        ):
            graph.add_edge((left_kind, left_id), (right_kind, right_id))
        persons = {}
        for group in nx.connected_components(graph):
            _, kind, identifier = min(seen[each] for each in group)
            persons.update(dict.fromkeys(group, f"{kind}:{identifier}"))
        return persons


@pytest.fixture
def graph(connect_as: Callable[[str], psycopg.Connection[Any]]) -> Graph:
    return Graph(connect_as("transformer"))


# -- arrays ----------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True), st.data())
def test_lookup_finds_each_hash_and_no_other(
    hashes: list[int], data: st.DataObject
) -> None:
    asked = data.draw(
        st.lists(
            (st.sampled_from(hashes) if hashes else st.nothing())
            | st.integers(-(2**63), 2**63 - 1)
        )
    )
    found = Lookup(np.array(hashes, np.int64)).positions(np.array(asked, np.int64))
    place = {value: i for i, value in enumerate(hashes)}
    assert found.tolist() == [place.get(each, -1) for each in asked]


def test_lookup_refuses_equal_hashes() -> None:
    with pytest.raises(ValueError, match="equal"):
        Lookup(np.array([1, 2, 1], np.int64))


pairs = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=25)


@settings(deadline=None)
@given(pairs)
def test_bridges_are_those_of_networkx(edges: list[tuple[int, int]]) -> None:
    graph: nx.Graph[int] = nx.Graph(edges)
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    whole = [sorted(group) for group in nx.connected_components(graph)]
    for nodes in whole:
        mine = [pair for pair in edges if pair[0] in nodes]
        found = bridges(nodes, mine)
        assert {tuple(sorted(edge)) for edge, _ in found} == {
            tuple(sorted(edge)) for edge in nx.bridges(graph.subgraph(nodes))
        }
        for (left, right), cuts in found:
            parted = nx.Graph(graph.subgraph(nodes))
            parted.remove_edge(left, right)
            assert cuts == min(len(g) for g in nx.connected_components(parted))


@settings(deadline=None)
@given(pairs, st.lists(st.integers(0, 3) | st.just(NEVER), min_size=15, max_size=15))
def test_the_oldest_names_the_component(
    edges: list[tuple[int, int]], seen: list[int]
) -> None:
    """Ties by kind's name, then by identifier."""
    ids = np.arange(15, dtype=np.int64) * 64 + np.arange(15) % 3
    names = ["b", "a", "c"]  # by code
    ranks = np.array([1, 0, 2] + [9] * 61, np.int16)
    texts = {n: (names[n % 64], f"{-n:+}") for n in ids.tolist()}
    left, right = (np.array([e[i] for e in edges], np.int32) for i in (0, 1))
    lowest = components(15, left, right)
    found = ids[oldest(lowest, ids, np.array(seen), ranks, lambda asked: texts)]
    graph: nx.Graph[int] = nx.Graph(edges)
    graph.add_nodes_from(range(15))
    for group in nx.connected_components(graph):
        first = min(group, key=lambda i: (seen[i], *texts[int(ids[i])]))
        assert {int(lowest[i]) for i in group} == {min(group)}
        assert {int(found[i]) for i in group} == {int(ids[first])}


# -- the step --------------------------------------------------------------------------

KINDS = ("phone", "ym_client_id", "crm_lead")
NODES = [(kind, name) for kind in KINDS for name in "abc"]
nodes = st.sampled_from(NODES)
days = st.none() | st.integers(0, 4)
standings = st.sampled_from(["strong", "joining", "joining", "shared", "quarantined"])
joins = st.tuples(
    st.just("join"),
    nodes,
    nodes,
    st.sampled_from("xy"),
    st.sampled_from([True] * 4 + [False]),
)
cuts = st.tuples(st.just("cut"), st.integers(0, 99))
news = st.one_of(
    joins,
    joins,
    cuts,
    st.tuples(st.just("see"), nodes, days, standings),
    st.tuples(st.just("forget"), nodes),
)


class Machine(RuleBasedStateMachine):
    """Anything dbt may do to the tables, in any order, and the step in between."""

    dsn = ""
    connection: psycopg.Connection[Any]
    # what became of persons in increments of all runs of the machine
    seen: Counter[str] = Counter()

    @initialize(days=st.lists(days, min_size=len(NODES), max_size=len(NODES)))
    def begin(self, days: list[int | None]) -> None:
        self.connection = psycopg.connect(self.dsn, autocommit=True)
        self.connection.execute("set synchronous_commit = off")
        self.graph = Graph(self.connection)
        for node, day in zip(NODES, days, strict=True):
            self.graph.node(*node, day)
        self.graph.run(full=True)
        self.known: set[str] = set()

    def living(self) -> dict[Node, str]:
        return {
            (kind, identifier): standing
            for kind, identifier, standing in self.connection.execute(
                "select kind, identifier, standing from identity.int_identifiers"
            )
        }

    def edges(self) -> list[tuple[Node, Node, str]]:
        return [
            ((a, b), (c, d), evidence)
            for a, b, c, d, evidence in self.connection.execute(
                "select left_kind, left_id, right_kind, right_id, evidence "
                "from identity.identity_edges order by 1, 2, 3, 4, 5"
            )
        ]

    @rule(news=st.lists(news, min_size=1, max_size=6), is_failing=st.booleans())
    def day(self, news: list[tuple[Any, ...]], is_failing: bool) -> None:
        for what, *values in news:
            getattr(self, what)(*values)
        if not is_failing:
            self.identify()

    def see(self, node: Node, day: int | None, standing: str) -> None:
        """A new identifier, or one that is judged anew; its edges follow it."""
        self.graph.node(*node, day, standing)
        if standing not in ("strong", "joining"):
            self.connection.execute(
                "update identity.identity_edges set is_joining = false "
                "where (left_kind, left_id) = (%s, %s) "
                "or (right_kind, right_id) = (%s, %s)",
                (*node, *node),
            )

    def join(self, left: Node, right: Node, evidence: str, is_joining: bool) -> None:
        """A record shows two identifiers; what may not be joined is judged anew."""
        living = self.living()
        for node in (left, right):
            if living.get(node) not in ("strong", "joining"):
                self.graph.node(*node, None if node[1] == "a" else 1)
        self.graph.edge(left, right, evidence, is_joining)

    def cut(self, place: int) -> None:
        if edges := self.edges():
            self.graph.cut(*edges[place % len(edges)])

    def forget(self, node: Node) -> None:
        """An erased contact."""
        self.graph.forget(node)

    @rule()
    def station_again(self) -> None:
        """dbt deletes and inserts rows that did not change."""
        with self.connection.transaction():
            self.edges_again()
        self.identify()

    def edges_again(self) -> None:
        rows = self.connection.execute(
            "delete from identity.identity_edges returning *"
        ).fetchall()
        for row in rows:
            self.connection.execute(
                "insert into identity.identity_edges values "
                "(%s, %s, %s, %s, %s, %s, %s, %s)",
                row,
            )

    @rule()
    def read_everything(self) -> None:
        """What changed since then is one table with the rest again."""
        assert self.graph.run(full=True).is_full
        self.as_networkx_says()

    def identify(self) -> None:
        counts = self.graph.run()
        assert not counts.is_full
        self.seen.update(counts.events)
        self.as_networkx_says()
        incremental = self.graph.pairs()
        assert self.graph.run().rows_written == 0
        with self.connection.transaction(force_rollback=True):
            assert self.graph.run(full=True).rows_written == 0
            assert self.graph.pairs() == incremental

    def as_networkx_says(self) -> None:
        found = self.graph.assigned()
        assert found == self.graph.expected()
        sizes = Counter(found.values())
        assert set(
            self.connection.execute(
                "select distinct person_id, identifiers from identity.large_persons"
            )
        ) == {each for each in sizes.items() if each[1] > step.LARGE_PERSON}
        self.follow(set(found.values()))

    def follow(self, living: set[str]) -> None:
        """Every person there ever was lives, or events lead on from it to its end."""
        self.known |= living
        ends: dict[str, str] = {}
        for person, event, other in self.graph.events():
            if event == "gone":
                ends[person] = ""
            elif event in ("merged", "renamed") or (event == "split" and other):
                ends[person] = str(other)
        assert {each for each in self.known - living if each not in ends} == set()

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()


def test_a_run_of_changes_leaves_what_reading_everything_leaves(
    warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setattr(step, "MOST_CHANGES", 1e9)
    monkeypatch.setattr(step, "SMALL_PERSON", 1)
    monkeypatch.setattr(step, "LARGE_PERSON", 2)
    Machine.dsn = psycopg.conninfo.make_conninfo(warehouse, user="transformer")
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # the machine has been everywhere
    assert set(Machine.seen) == {"born", "merged", "renamed", "split", "gone"}


def test_an_edge_to_what_may_not_join_is_refused(graph: Graph) -> None:
    """dbt would have made a mistake: better no persons than wrong ones."""
    graph.node("phone", "a")
    graph.node("phone", "b", standing="shared")
    graph.edge(("phone", "a"), ("phone", "b"))
    with pytest.raises(PipelineError, match="does not list as joining: phone:b"):
        graph.run(full=True)
    graph.cut(("phone", "a"), ("phone", "b"))
    graph.run(full=True)
    graph.edge(("phone", "a"), ("phone", "b"))
    with pytest.raises(PipelineError, match="does not list as joining: phone:b"):
        graph.run()


def test_a_chain_of_ten_thousand_that_came_in_two_days_is_one_person(
    graph: Graph,
) -> None:
    graph.connection.execute(
        """
        insert into identity.int_identifiers
        select n * 64 + 6, 'phone', 'p' || n, '2026-01-01'::timestamptz, 'joining'
        from generate_series(1, 10000) as n
        """
    )
    days = "insert into identity.identity_edges select 'phone', 'p' || n, 'phone', "
    days += "'p' || n + 1, 'call', true, n * 64 + 6, (n + 1) * 64 + 6 "
    days += "from generate_series(1, 9999) as n where n % 2 = "
    graph.connection.execute(days + "0")
    graph.run(full=True)
    assert len(set(graph.assigned().values())) == 5001
    graph.connection.execute(days + "1")
    counts = graph.run()
    assert set(graph.assigned().values()) == {"phone:p1"}
    # so large a person is reported, with the edge that would cut it in two
    assert counts.large or counts.touched
    reported = graph.connection.execute(
        "select person_id, identifiers, cuts_off, evidence "
        "from identity.large_persons order by position limit 1"
    ).fetchone()
    assert reported == ("phone:p1", 10000, 5000, "call")
    # and parts again when that edge is forbidden
    graph.connection.execute(
        "update identity.identity_edges set is_joining = false where left_id = 'p5000'"
    )
    graph.run()
    assert len(set(graph.assigned().values())) == 2
    assert graph.assigned() == graph.expected()
    assert graph.events()[-1][1] == "split"


def test_tables_of_an_older_shape_keep_persons_and_their_history(
    graph: Graph, warehouse: str
) -> None:
    for name in "ab":
        graph.node("phone", name)
    graph.run(full=True)
    graph.edge(("phone", "a"), ("phone", "b"))
    graph.run()
    graph.connection.execute(
        """
        drop view identity.person_identifiers_assigned, identity.person_history,
        identity.node_persons;
        alter table identity.node_persons_built rename to node_persons;
        alter index identity.node_persons_built_key rename to node_persons_key;
        alter index identity.node_persons_built_by_person rename
        to node_persons_by_person;
        truncate identity.node_persons, identity.person_merges,
        identity.node_persons_moved;
        insert into identity.node_persons
        select node_id, min(node_id) over () from identity.int_identifiers;

        drop table identity.person_events;
        create table identity.person_events (
            event_id bigint generated always as identity primary key,
            person_id text not null, event text not null, other_person_id text,
            happened_at timestamptz not null default clock_timestamp()
        );
        create index person_events_by_person on identity.person_events (person_id);
        insert into identity.person_events (person_id, event, other_person_id)
        values ('phone:gone', 'merged', 'phone:b'), ('phone:b', 'merged', 'phone:a')
        """
    )
    for _ in range(2):
        setup(warehouse, {})
    assert not graph.run().is_full
    assert set(graph.assigned().values()) == {"phone:a"}
    assert graph.events() == [
        ("phone:gone", "merged", "phone:b"),
        ("phone:b", "merged", "phone:a"),
    ]
    # what becomes of them is written on
    graph.cut(("phone", "a"), ("phone", "b"))
    graph.run()
    assert graph.assigned() == graph.expected()
    assert graph.events()[2:] == [("phone:a", "split", "phone:b")]


def test_a_person_whose_identifier_is_gone_keeps_its_name_in_history(
    graph: Graph,
) -> None:
    for day, name in enumerate("ab"):
        graph.node("phone", name, day)
    graph.run(full=True)
    graph.edge(("phone", "a"), ("phone", "b"))
    graph.run()
    graph.forget(("phone", "b"))
    graph.run()
    graph.forget(("phone", "a"))
    graph.run()
    assert graph.events() == [
        ("phone:b", "merged", "phone:a"),
        ("phone:a", "gone", None),
    ]
    # of those that never were persons of their own nothing is kept
    kept = graph.connection.execute(
        "select identifier from identity.former_nodes order by 1"
    ).fetchall()
    assert kept == [("a",), ("b",)]


def test_persons_are_one_table_again_when_much_stands_beside_it(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "MOST_CHANGES", 0.5)
    graph.connection.execute(
        """
        insert into identity.int_identifiers
        select n * 64 + 6, 'phone', 'p' || n, '2026-01-01'::timestamptz, 'joining'
        from generate_series(1, 4000) as n
        """
    )
    graph.run(full=True)

    def beside() -> int:
        (rows,) = graph.connection.execute(
            "select (select count(*) from identity.node_persons_moved) "
            "+ (select count(*) from identity.person_merges)"
        ).fetchone() or (0,)
        return int(rows)

    found = []
    for turn in range(4):
        graph.connection.execute(
            f"""
            insert into identity.identity_edges
            select 'phone', 'p' || n, 'phone', 'p' || n + 1, 'call', true,
            n * 64 + 6, (n + 1) * 64 + 6
            from generate_series(1, 3999) as n where n % 5 = {turn}
            """
        )
        counts = graph.run()
        assert graph.assigned() == graph.expected()
        found.append((counts.is_full, beside() > 0))
    assert found == [(False, True), (False, True), (True, False), (False, True)]


def test_a_star_of_fifty_thousand_is_one_person_until_its_middle_is_quarantined(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing grows with the pairs of those who hang on one identifier."""
    monkeypatch.setattr(step, "MOST_CHANGES", 1e9)
    graph.node("phone", "middle", day=3)
    graph.run(full=True)
    graph.connection.execute(
        """
        insert into identity.int_identifiers
        select n * 64, 'ym_client_id', 'b' || n, '2026-02-01'::timestamptz, 'strong'
        from generate_series(1000000, 1049999) as n
        """
    )
    graph.connection.execute(
        """
        insert into identity.identity_edges
        select 'ym_client_id', 'b' || n, 'phone', 'middle', 'call', true, n * 64, node_id
        from generate_series(1000000, 1049999) as n, identity.int_identifiers
        where kind = 'phone'
        """
    )
    counts = graph.run()
    assert not counts.is_full
    assert set(graph.assigned().values()) == {"phone:middle"}
    incremental = graph.pairs()
    assert graph.run(full=True).rows_written == 0
    # no edge cuts off more than the one browser at its end
    assert graph.connection.execute(
        "select identifiers, count(*), max(cuts_off) from identity.large_persons group by 1"
    ).fetchall() == [(50001, step.MOST_REPORTED, 1)]

    # so many holders of one phone are no person: dbt takes it out of the graph
    graph.node("phone", "middle", day=3, standing="quarantined")
    graph.connection.execute("update identity.identity_edges set is_joining = false")
    counts = graph.run()
    assert not counts.is_full
    assert len(set(graph.assigned().values())) == 50000
    assert graph.assigned() == graph.expected()
    assert counts.events["split"] == 50000

    # and puts it back when the limit is raised
    graph.node("phone", "middle", day=3)
    graph.connection.execute("update identity.identity_edges set is_joining = true")
    graph.run()
    assert graph.pairs() == incremental
