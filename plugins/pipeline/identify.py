"""Who is who: the connected components of the joining edges, as a table.

dbt decides which identifiers may join (`identity.identity_edges.is_joining`); a graph
is not SQL's work, so the components are found here.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.errors import PipelineError
from pipeline.log import say
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Identifier = tuple[str, str, datetime | None]  # kind, identifier, first seen
Node = tuple[str, str]  # kind, identifier


def persons(
    identifiers: Sequence[Identifier], edges: Iterable[tuple[str, str, str, str]]
) -> list[str]:
    """The person_id of each identifier, in the order given.

    A person is a component; its id is `kind:identifier` of the component's oldest
    identifier by (first seen, kind, identifier), unseen ones last: the same whatever
    the order of rows. Raises PipelineError when an edge names an identifier that is
    not in the list, or one is in it twice.
    """
    index = {(kind, value): i for i, (kind, value, _) in enumerate(identifiers)}
    if len(index) != len(identifiers):
        counts = Counter((kind, value) for kind, value, _ in identifiers)
        twice = next(node for node, count in counts.items() if count > 1)
        raise PipelineError(f"identity.identifiers lists {':'.join(twice)} twice")
    left: list[int] = []
    right: list[int] = []
    for left_kind, left_id, right_kind, right_id in edges:
        try:
            left.append(index[left_kind, left_id])
            right.append(index[right_kind, right_id])
        except KeyError as error:
            raise PipelineError(
                "identity.identity_edges joins an identifier that "
                f"identity.identifiers does not list: {':'.join(error.args[0])}"
            ) from None
    size = len(identifiers)
    graph = coo_array(
        (np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size)
    )
    count, labels = connected_components(graph, directed=False)
    oldest: list[tuple[bool, float, str, str] | None] = [None] * int(count)
    for (kind, value, seen), label in zip(identifiers, labels, strict=True):
        age = (seen is None, 0.0 if seen is None else seen.timestamp(), kind, value)
        known = oldest[label]
        if known is None or age < known:
            oldest[label] = age
    names = ["" if age is None else f"{age[2]}:{age[3]}" for age in oldest]
    return [names[label] for label in labels]


def identify() -> dict[str, int]:
    """Replace identity.person_identifiers_assigned; returns what was counted.

    One transaction as role transformer: a reader sees the old persons or the new.
    """
    with connect("transformer") as connection:
        identifiers: list[Identifier] = connection.execute(
            "select kind, identifier, first_seen_at from identity.identifiers"
        ).fetchall()
        edges: list[tuple[str, str, str, str]] = connection.execute(
            """
            select left_kind, left_id, right_kind, right_id
            from identity.identity_edges
            where is_joining
            """
        ).fetchall()
        assigned = persons(identifiers, edges)
        connection.execute(
            """
            create table if not exists identity.person_identifiers_assigned (
                person_id text not null,
                kind text not null,
                identifier text not null,
                first_seen_at timestamptz,
                primary key (kind, identifier)
            )
            """
        )
        connection.execute("truncate identity.person_identifiers_assigned")
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "copy identity.person_identifiers_assigned "
                "(person_id, kind, identifier, first_seen_at) from stdin"
            ) as copy,
        ):
            for person_id, identifier in zip(assigned, identifiers, strict=True):
                copy.write_row((person_id, *identifier))
        connection.execute("analyze identity.person_identifiers_assigned")
    sizes = Counter(assigned)
    counts = {
        "identifiers": len(identifiers),
        "edges": len(edges),
        "persons": len(sizes),
        "largest": max(sizes.values(), default=0),
    }
    say(
        f"{counts['identifiers']} identifiers and {counts['edges']} joining edges make "
        f"{counts['persons']} persons; the largest has {counts['largest']} identifiers"
    )
    return counts
