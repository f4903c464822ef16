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
    has no `start`; or a former person_id: then what became of it comes first. Of an
    identifier that joins nobody, and of two that belong to two persons, it tells what
    speaks of them and why that joins them not. Raises PipelineError when no record ever
    showed such an identifier.
    """
    with connect("transformer") as connection:
        connection.execute("set transaction read only")
        told: list[str] = []
        begin = start or person
        one = _look_up(connection, begin)
        if one is None:
            told, now = _fate(connection, begin)
            if now is None:
                return "\n".join(told)
            begin, one = now, _look_up(connection, now)
            if one is None:
                raise PipelineError(f"{now} is in no graph: run the step identify")
        other = one
        end = end or (person if start else None)
        if end is not None:
            found = _look_up(connection, end)
            if found is None:
                raise PipelineError(f"nobody has, or ever was, {end}")
            other = found
        for each in (one, other):
            if each.person is None:
                told.append(_joins_nobody(connection, each))
                return "\n".join(told)
        if one.person != other.person:
            told.append(_two_persons(connection, one, other))
        elif end is None:
            told.append(_tree(connection, one))
        else:
            steps = _steps(connection, one)
            chain = shortest(steps, one.node, other.node)
            told.append(f"{begin} and {end}: {len(chain)} steps")
            told.append(_table(chain))
        return "\n".join(told)


@dataclass(frozen=True)
class Identifier:
    """One that the latest build knows."""

    node: Node
    standing: str
    reason: str | None
    # the person's node and person_id; None: it joins nobody
    person: tuple[int, str] | None


def _look_up(connection: psycopg.Connection[Any], text: str) -> Identifier | None:
    kind, colon, _ = text.partition(":")
    kinds = [
        name for (name,) in connection.execute("select kind from identity.node_kinds")
    ]
    if not colon or kind not in kinds:
        raise PipelineError(
            f"{text!r} names no identifier: write kind:identifier, for example "
            "phone:ph1_… (python -m pipeline token phone …) or crm_deal:bitrix24:main:1; "
            "kinds are " + ", ".join(sorted(kinds))
        )
    node = (kind, text[len(kind) + 1 :])
    row = connection.execute(
        """
        select
            identifiers.standing,
            coalesce(
                'forbidden: ' || (
                    select rules.reason from staging.identity_rules as rules
                    where
                        rules.kind = identifiers.kind
                        and rules.identifier = identifiers.identifier
                        and rules.other_identifier is null
                        and identifiers.quarantine_reason = 'forbidden'
                ),
                identifiers.quarantine_reason
            ),
            persons.node_id,
            persons.kind || ':' || persons.identifier
        from identity.int_identifiers as identifiers
        cross join lateral identity.persons_of_nodes(array[identifiers.node_id]) as found
        left join identity.int_identifiers as persons
            on found.person_node = persons.node_id
        where identifiers.kind = %s and identifiers.identifier = %s
        """,
        node,
    ).fetchone()
    if row is None:
        return None
    standing, reason, person, name = row
    return Identifier(
        node, standing, reason, None if person is None else (person, name)
    )


def _tree(connection: psycopg.Connection[Any], of: Identifier) -> str:
    assert of.person is not None
    _, name = of.person
    steps = _steps(connection, of)
    members = {each for step in steps for each in (step.left, step.right)}
    kind, _, identifier = name.partition(":")
    chains = tree(steps, (kind, identifier))
    told = [
        f"person {name}: {max(len(members), 1)} identifiers, each by its "
        "shortest way from the oldest",
        _table(chains[:MOST_SHOWN]),
    ]
    if len(chains) > MOST_SHOWN:
        told.append(f"… and {len(chains) - MOST_SHOWN} more")
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


def _joins_nobody(connection: psycopg.Connection[Any], what: Identifier) -> str:
    """What speaks of an identifier, and why none of it joins anybody."""
    loose = _loose(connection, [what.node])
    reason = f" ({what.reason})" if what.reason else ""
    told = [f"{':'.join(what.node)} is {what.standing}{reason}: it joins nobody"]
    if what.reason is None and what.standing in ("strong", "joining"):
        told = [f"{':'.join(what.node)} is in no graph yet: run the step identify"]
    if loose:
        told.append(_loose_table(loose))
    return "\n".join(told)


def _two_persons(
    connection: psycopg.Connection[Any], one: Identifier, other: Identifier
) -> str:
    """What speaks of two persons at once, and why it joins them not."""
    assert one.person is not None
    assert other.person is not None
    told = [
        f"{':'.join(one.node)} is person {one.person[1]}, "
        f"{':'.join(other.node)} is person {other.person[1]}: nothing joins them"
    ]
    nodes = [
        {
            (kind, identifier)
            for kind, identifier in connection.execute(
                """
                select identifiers.kind, identifiers.identifier
                from identity.nodes_of_persons(array[%s]::bigint[]) as members
                inner join identity.int_identifiers as identifiers using (node_id)
                """,
                (person[0],),
            )
        }
        for person in (one.person, other.person)
    ]
    loose = [_loose(connection, list(each)) for each in nodes]
    ends = [{end for row in rows for end in row[:2]} for rows in loose]
    # what both show, or what shows both
    common = (ends[0] | nodes[0]) & (ends[1] | nodes[1])
    shown = {
        row for rows in loose for row in rows if row[0] in common or row[1] in common
    }
    if shown:
        told.append(_loose_table(sorted(shown)))
    else:
        told.append("no record shows an identifier of both")
    return "\n".join(told)


Loose = tuple[Node, Node, str, str, str]


def _loose(connection: psycopg.Connection[Any], nodes: list[Node]) -> list[Loose]:
    """(left, right, evidence, record, why not) of edges at these that join nobody."""
    rows = connection.execute(
        """
        select
            edges.left_kind, edges.left_id, edges.right_kind, edges.right_id,
            edges.evidence,
            edges.source || ' ' || concat_ws(
                '/', edges.contract, edges.account_id, edges.record_key
            ),
            edges.why_not_joining
        from (
            select edges.*
            from unnest(%(kinds)s::text[], %(ids)s::text[]) as asked (kind, identifier)
            inner join identity.identity_edges as edges
                on asked.identifier = edges.left_id and asked.kind = edges.left_kind
            union
            select edges.*
            from unnest(%(kinds)s::text[], %(ids)s::text[]) as asked (kind, identifier)
            inner join identity.identity_edges as edges
                on asked.identifier = edges.right_id and asked.kind = edges.right_kind
        ) as edges
        where not edges.is_joining
        order by edges.first_seen_at, 1, 2, 3, 4, 5
        """,
        {
            "kinds": [kind for kind, _ in nodes],
            "ids": [identifier for _, identifier in nodes],
        },
    )
    return [((a, b), (c, d), *rest) for a, b, c, d, *rest in rows]


def _loose_table(rows: list[Loose]) -> str:
    told = table(
        ("from", "to", "by", "record", "why it joins nobody"),
        [
            (":".join(left), ":".join(right), evidence, record, reason)
            for left, right, evidence, record, reason in rows[:MOST_SHOWN]
        ],
    )
    if len(rows) > MOST_SHOWN:
        told += f"\n… and {len(rows) - MOST_SHOWN} more"
    return told


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
            dict(zip(("kind", "identifier"), now.split(":", 1), strict=True)),
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
        found = _look_up(connection, now)
        if found is not None and found.person is not None:
            break
    if not told:
        raise PipelineError(f"nobody has, or ever was, {person}")
    return told, now


def _steps(connection: psycopg.Connection[Any], of: Identifier) -> list[Step]:
    """The joining edges of the identifier's person."""
    assert of.person is not None
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
        (of.person[0],),
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
