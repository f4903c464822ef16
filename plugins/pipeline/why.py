"""Why two identifiers belong to one person: the shortest chain of evidence.

Identifiers are written `kind:identifier`, as a person_id is: `phone:ph1_…`,
`ym_client_id:1693…`, `crm_deal:bitrix24:main:301`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import PipelineError
from pipeline.log import table
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import psycopg

Node = tuple[str, str]  # kind, identifier
# further than this nobody reads
MOST_SHOWN = 200


@dataclass(frozen=True)
class Step:
    """One edge of a chain, as it is walked."""

    left: Node
    right: Node
    evidence: str
    source: str
    record: str
    first_seen_at: datetime | None
    times_seen: int
    confidence: float


def why(person: str, start: str | None = None, end: str | None = None) -> str:
    """What joins the identifiers of a person, or the two named, in lines of text.

    `person` may be a person_id or any identifier of theirs, where a chain begins that
    has no `start`; or a former person_id: then what became of it comes first. Raises PipelineError when nobody has
    such an identifier, or when the two belong to different persons.
    """
    with connect("transformer") as connection:
        connection.execute("set transaction read only")
        told: list[str] = []
        found = _person(connection, _node(person))
        begin = person
        if found is None:
            told, now = _fate(connection, person)
            if now is None:
                return "\n".join(told)
            found = _person(connection, _node(now))
            if found is None:
                raise PipelineError(f"{now} is in no graph: run the step identify")
            begin = now
        person_node, name = found
        steps = _steps(connection, person_node)
        members = {each for step in steps for each in (step.left, step.right)}
        if start is None and end is None:
            chains = tree(steps, _node(name))
            told.append(
                f"person {name}: {max(len(members), 1)} identifiers, each by its "
                "shortest way from the oldest"
            )
            told.append(_table(chains[:MOST_SHOWN]))
            if len(chains) > MOST_SHOWN:
                told.append(f"… and {len(chains) - MOST_SHOWN} more")
            return "\n".join(told)
        one, other = _node(start or begin), _node(end or begin)
        for each in (one, other):
            if each not in members and each != _node(name):
                raise PipelineError(
                    f"{':'.join(each)} does not belong to person {name}: nothing "
                    "joins them (identity.identity_edges says why)"
                )
        chain = shortest(steps, one, other)
        told.append(f"{':'.join(one)} and {':'.join(other)}: {len(chain)} steps")
        told.append(_table(chain))
        return "\n".join(told)


def shortest(steps: Iterable[Step], start: Node, end: Node) -> list[Step]:
    """The fewest steps from one to the other; of equally many, the surest and oldest."""
    parent = _walk(steps, start)
    chain: list[Step] = []
    node = end
    while node != start:
        chain.append(parent[node])
        node = parent[node].left
    return chain[::-1]


def tree(steps: Iterable[Step], start: Node) -> list[Step]:
    """For each identifier the last step of its shortest way, nearest first."""
    return list(_walk(steps, start).values())


def _walk(steps: Iterable[Step], start: Node) -> dict[Node, Step]:
    around: dict[Node, list[Step]] = {}
    for step in steps:
        around.setdefault(step.left, []).append(step)
        back = Step(
            step.right, step.left, step.evidence, step.source, step.record,
            step.first_seen_at, step.times_seen, step.confidence,
        )  # fmt: skip
        around.setdefault(step.right, []).append(back)
    parent: dict[Node, Step] = {}
    line = deque([start])
    while line:
        node = line.popleft()
        for step in sorted(around.get(node, ()), key=_worth):
            if step.right != start and step.right not in parent:
                parent[step.right] = step
                line.append(step.right)
    return parent


def _worth(step: Step) -> tuple[Any, ...]:
    seen = step.first_seen_at
    return (
        -step.confidence, seen is None, seen.timestamp() if seen else 0.0,
        step.right, step.evidence,
    )  # fmt: skip


def _node(text: str) -> Node:
    kind, colon, identifier = text.partition(":")
    if not colon:
        raise PipelineError(
            f"{text!r} names no identifier: write kind:identifier, for example "
            "phone:ph1_… (python -m pipeline token phone …) or crm_deal:bitrix24:main:1"
        )
    return kind, identifier


def _person(connection: psycopg.Connection[Any], node: Node) -> tuple[int, str] | None:
    """The person's node and person_id of an identifier that is in the graph."""
    row = connection.execute(
        """
        select persons.node_id, persons.kind || ':' || persons.identifier
        from identity.persons_of_nodes(array(
            select node_id from identity.int_identifiers
            where kind = %s and identifier = %s
        )) as found
        inner join identity.int_identifiers as persons
            on found.person_node = persons.node_id
        """,
        node,
    ).fetchone()
    if row is not None:
        return row[0], row[1]
    row = connection.execute(
        "select standing, quarantine_reason from identity.int_identifiers "
        "where kind = %s and identifier = %s",
        node,
    ).fetchone()
    if row is not None:
        reason = f" ({row[1]})" if row[1] else ""
        raise PipelineError(
            f"{':'.join(node)} is {row[0]}{reason}: it belongs to no one person"
        )
    return None


def _fate(
    connection: psycopg.Connection[Any], person: str
) -> tuple[list[str], str | None]:
    """(what became of a former person, line by line; who they are now, if anybody)."""
    told: list[str] = []
    met = {person}
    now: str | None = person
    while now is not None:
        rows = connection.execute(
            """
            select event, other_person_id, happened_at from identity.person_history
            where
                event <> 'born'
                and person_node in (
                    select node_id from identity.int_identifiers
                    where kind = %(kind)s and identifier = %(identifier)s
                    union all
                    select node_id from identity.former_nodes
                    where kind = %(kind)s and identifier = %(identifier)s
                )
            order by event_id
            """,
            dict(zip(("kind", "identifier"), _node(now), strict=True)),
        ).fetchall()
        if not rows:
            break
        for event, other, at in rows:
            to = f" → {other}" if other else ""
            told.append(f"{at:%Y-%m-%d %H:%M} {now} {event}{to}")
        last = rows[-1][1]
        if last is None or last in met:
            return told, None
        met.add(last)
        now = last
        if _person(connection, _node(now)) is not None:
            break
    if not told:
        raise PipelineError(f"nobody has, or ever was, {person}")
    return told, now


def _steps(connection: psycopg.Connection[Any], person_node: int) -> list[Step]:
    rows = connection.execute(
        """
        select
            edges.left_kind, edges.left_id, edges.right_kind, edges.right_id,
            edges.evidence, edges.source,
            concat_ws('/', edges.contract, edges.account_id, edges.record_key),
            edges.first_seen_at, edges.times_seen, edges.confidence
        from identity.nodes_of_persons(array[%s]::bigint[]) as members
        inner join identity.identity_edges as edges
            on members.node_id = edges.left_node and edges.is_joining
        """,
        (person_node,),
    )
    return [Step((a, b), (c, d), *rest) for a, b, c, d, *rest in rows]


def _table(steps: list[Step]) -> str:
    return table(
        ("from", "to", "by", "record", "first seen", "times", "sure"),
        [
            (
                ":".join(step.left), ":".join(step.right), step.evidence,
                f"{step.source} {step.record}",
                f"{step.first_seen_at:%Y-%m-%d %H:%M}" if step.first_seen_at else "",
                step.times_seen, f"{step.confidence:.0%}",
            )
            for step in steps
        ],
    )  # fmt: skip
