"""Persons are the connected components, whatever the order of rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.identify import Identifier, identify, persons

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import psycopg

START = datetime(2026, 1, 1, tzinfo=UTC)
Edge = tuple[str, str, str, str]


def brute_force(identifiers: list[Identifier], edges: list[Edge]) -> list[str]:
    """Merge sets until nothing changes, then name each by its oldest member."""
    groups = [{(kind, value)} for kind, value, _ in identifiers]
    changed = True
    while changed:
        changed = False
        for left_kind, left_id, right_kind, right_id in edges:
            left = next(g for g in groups if (left_kind, left_id) in g)
            right = next(g for g in groups if (right_kind, right_id) in g)
            if left is not right:
                left |= right
                groups.remove(right)
                changed = True
    seen = {(kind, value): at for kind, value, at in identifiers}
    latest = datetime.max.replace(tzinfo=UTC)
    return [
        ":".join(
            min(
                next(g for g in groups if (kind, value) in g),
                key=lambda node: (seen[node] or latest, *node),
            )
        )
        for kind, value, _ in identifiers
    ]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Identifier], list[Edge]]:
    nodes = draw(
        st.lists(
            st.tuples(st.sampled_from(["phone", "client"]), st.integers(0, 30)),
            min_size=1, max_size=15, unique=True,
        )
    )  # fmt: skip
    age = st.none() | st.integers(0, 3)
    identifiers: list[Identifier] = []
    for kind, number in nodes:
        days = draw(age)
        seen = None if days is None else START + timedelta(days=days)
        identifiers.append((kind, str(number), seen))
    node = st.sampled_from([(kind, value) for kind, value, _ in identifiers])
    pairs = draw(st.lists(st.tuples(node, node), max_size=20))
    return identifiers, [(*left, *right) for left, right in pairs]


@given(graphs(), st.randoms(use_true_random=False))
def test_components_equal_brute_force_in_any_order(
    graph: tuple[list[Identifier], list[Edge]], rng: random.Random
) -> None:
    identifiers, edges = graph
    found = dict(
        zip([i[:2] for i in identifiers], persons(identifiers, edges), strict=True)
    )
    expected = brute_force(identifiers, edges)
    assert list(found.values()) == expected
    rng.shuffle(identifiers)
    edges = [
        (c, d, a, b) if rng.random() < 0.5 else (a, b, c, d) for a, b, c, d in edges
    ]
    rng.shuffle(edges)
    again = persons(identifiers, edges)
    assert dict(zip([i[:2] for i in identifiers], again, strict=True)) == found


def test_an_edge_to_an_unknown_identifier_is_refused() -> None:
    with pytest.raises(PipelineError, match="does not list: phone:2"):
        persons([("phone", "1", None)], [("phone", "1", "phone", "2")])


def test_an_identifier_listed_twice_is_refused() -> None:
    with pytest.raises(PipelineError, match="lists phone:1 twice"):
        persons([("phone", "1", None), ("phone", "1", START)], [])


def test_nobody_is_no_person(connect_as: Callable[[str], psycopg.Connection]) -> None:
    assert persons([], []) == []


def test_identify_replaces_the_persons_of_the_warehouse(
    connect_as: Callable[[str], psycopg.Connection],
) -> None:
    dbt = connect_as("transformer")
    dbt.execute(
        """
        drop table if exists identity.identifiers, identity.identity_edges;
        create table identity.identifiers
        (kind text, identifier text, first_seen_at timestamptz);
        create table identity.identity_edges
        (left_kind text, left_id text, right_kind text, right_id text, is_joining bool);
        insert into identity.identifiers values
        ('client', 'a', '2026-01-02'), ('phone', 'p', '2026-01-01'), ('client', 'b', null);
        insert into identity.identity_edges values
        ('client', 'a', 'phone', 'p', true), ('client', 'b', 'phone', 'p', false)
        """
    )
    expected = [("client:b", "b"), ("phone:p", "a"), ("phone:p", "p")]
    for _ in range(2):
        counts = identify()
        assert counts == {"identifiers": 3, "edges": 1, "persons": 2, "largest": 2}
        assert (
            dbt.execute(
                "select person_id, identifier from identity.person_identifiers_assigned "
                "order by 1, 2"
            ).fetchall()
            == expected
        )
    dbt.execute("drop table identity.identifiers, identity.identity_edges")
