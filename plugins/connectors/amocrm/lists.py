"""amoCRM's lists, each read to its end although rows move while they are read.

Pages are numbered, and an object that is edited leaves its place: behind it every row
moves one place forward, and one slips from a page not yet read to one already read. So
objects are not read by page number but by the moment of their last change: each request
asks for the first page from the last moment seen on. An edited object only moves ahead,
where it is met again.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from connectors.amocrm import records
from connectors.base.errors import ParseError, RetriableError
from connectors.base.stream import objects

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Mapping

    from connectors.base.batch import Record
    from connectors.base.client import ApiClient
    from connectors.base.stream import Stream

PATHS = {
    "leads": "api/v4/leads",
    "deleted_leads": "api/v4/leads",
    "contacts": "api/v4/contacts",
    "events": "api/v4/events",
    "pipelines": "api/v4/leads/pipelines",
    "statuses": "api/v4/leads/pipelines",
    "loss_reasons": "api/v4/leads/loss_reasons",
    "users": "api/v4/users",
    "custom_fields": "api/v4/leads/custom_fields",
}
INSIDE = {"deleted_leads": "leads", "statuses": "pipelines"}
WITH = {
    "leads": "contacts,loss_reason,source_id,is_price_modified_by_robot",
    "deleted_leads": "only_deleted",
}
MOST = 250  # rows of a page
MOST_EVENTS = 100
MOST_IDS = 50  # named in one filter, so that the address stays short
MOST_PASSES = 10  # over the rows of one second
EVENT_TYPES = (
    "lead_status_changed",
    "lead_deleted",
    "lead_restored",
    "contact_deleted",
    "contact_restored",
    "entity_merged",
    "entity_linked",
    "entity_unlinked",
)
TOUCHING = ("lead_restored", "entity_merged", "entity_linked", "entity_unlinked")
"""Events of a lead that may leave its updated_at alone."""


@dataclass(frozen=True)
class Rows:
    """One page: its rows as they came, and whether the vendor says that more follow."""

    rows: list[Record]
    more: bool


class Reader:
    """Asks for one stream's pages and gives rows as they came; `records` shapes them.

    `mapped`: ids of lead fields to lift.
    """

    def __init__(
        self, client: ApiClient, stream: Stream, mapped: Collection[int], limit: int
    ) -> None:
        self.stream = stream
        self._client = client
        self._mapped = mapped
        most = MOST_EVENTS if stream.name == "events" else MOST
        self._limit = min(limit, most)

    def records(self, rows: list[Record]) -> list[Record]:
        """Rows as the stream's records."""
        return [records.shaped(self.stream, row, self._mapped) for row in rows]

    def page(self, number: int, params: Mapping[str, Any]) -> Rows | None:
        """One page; None when there is nothing (204)."""
        name = self.stream.name
        asked: Record = {"page": number, "limit": self._limit, **params}
        if name in WITH:
            asked["with"] = WITH[name]
        # 204 has no body, so that "json" would refuse it; `judge` looks at the rest.
        answer = self._client.request("GET", PATHS[name], params=asked, expect="any")
        if answer.status == 204:
            return None
        content = answer.json()
        found = rows(self.stream, content)
        links = content.get("_links")
        following = links.get("next") if isinstance(links, dict) else None
        return Rows(found, bool(following))

    def numbered(self, params: Mapping[str, Any]) -> Iterator[list[Record]]:
        """All pages by number: for what is only added to, or never moves.

        Raises RetriableError when a page repeats, or the one that was promised is
        empty.
        """
        seen: set[Hashable] = set()
        number = 1
        while (found := self.page(number, params)) is not None:
            known = [(self._identity(row), row) for row in found.rows]
            new = [row for identity, row in known if identity not in seen]
            if found.more and not new:
                raise RetriableError(f"{self._what}: page {number} came before")
            seen.update(identity for identity, _ in known)
            yield new
            if not found.more:
                return
            number += 1
        if number > 1 and len(seen) < (number - 1) * self._limit:
            raise RetriableError(
                f"{self._what}: page {number} was promised, it is empty"
            )

    def changed(self, since: int | None, *, bounded: bool) -> Iterator[list[Record]]:
        """What was changed from a moment on (Unix seconds), each row once or later.

        `bounded`: no further than the newest change at the start; else rows that are
        edited meanwhile come, too. Raises RetriableError when rows got lost.
        """
        newest = self._page_of(since, None, "desc")
        if newest is None:
            return
        if not newest.more:
            yield newest.rows
            return
        last = newest.rows[0]
        until = _moment(last) if bounded else None
        is_met = is_begun = False
        for some in self._walk(since, until):
            if some and not is_begun and some[0]["id"] == last["id"]:
                self._prove_oldest(since, _moment(last))
            is_begun = True
            is_met = is_met or any(row["id"] == last["id"] for row in some)
            yield some
        if not is_met:
            for row in self.by_id([str(last["id"])]):
                if until is None or _moment(row) <= until:
                    raise RetriableError(
                        f"{self._what}: the list ended before its newest row "
                        f"({last['id']})"
                    )

    def by_id(self, keys: list[str]) -> Iterator[Record]:
        """These rows, whatever their date; those that are gone are left out."""
        for start in range(0, len(keys), MOST_IDS):
            wanted = keys[start : start + MOST_IDS]
            names = {f"filter[id][{at}]": key for at, key in enumerate(wanted)}
            for some in self.numbered({**names, "order[id]": "asc"}):
                for row in some:
                    if str(row["id"]) not in wanted:
                        raise RetriableError(f"{self._what}: {row['id']} came unasked")
                    yield row

    def _walk(self, since: int | None, until: int | None) -> Iterator[list[Record]]:
        met: set[Any] = set()  # ids of rows of the second `since` that have come
        while (found := self._page_of(since, until, "asc")) is not None:
            new = [
                row
                for row in found.rows
                if _moment(row) != since or row["id"] not in met
            ]
            last = _moment(found.rows[-1])
            if found.more and last == since:
                yield from self._second(last, met)
                since, met = last + 1, set()
                continue
            yield new
            if not found.more:
                return
            since = last
            met = {row["id"] for row in found.rows if _moment(row) == last}

    def _prove_oldest(self, since: int | None, moment: int) -> None:
        """The newest row came as the oldest: right when all rows are of one second.

        Else it was the first answer once more. Raises RetriableError.
        """
        if (since is None or since < moment) and self._page_of(
            since, moment - 1, "desc"
        ):
            raise RetriableError(f"{self._what}: the newest rows came for the oldest")

    def _second(self, moment: int, met: set[Any]) -> Iterator[list[Record]]:
        """Other rows of one second (a mass edit), by number until no new ones come."""
        bounds = {
            "filter[updated_at][from]": moment,
            "filter[updated_at][to]": moment,
            "order[id]": "asc",
        }
        known = set(met)
        for _ in range(MOST_PASSES):
            before = len(known)
            for some in self.numbered(bounds):
                if any(_moment(row) != moment for row in some):
                    raise RetriableError(f"{self._what}: rows of another moment came")
                yield [row for row in some if row["id"] not in known]
                known.update(row["id"] for row in some)
            if len(known) == before:
                return
        raise RetriableError(f"{self._what}: rows moved in each of {MOST_PASSES} reads")

    def _page_of(self, since: int | None, until: int | None, order: str) -> Rows | None:
        """The first page between two moments, by the moment of change.

        Raises RetriableError for rows outside of them or in another order.
        """
        params: Record = {"order[updated_at]": order}
        if since is not None:
            params["filter[updated_at][from]"] = since
        if until is not None:
            params["filter[updated_at][to]"] = until
        found = self.page(1, params)
        if found is None:
            return None
        moments = list(map(_moment, found.rows))
        if moments != sorted(moments, reverse=order == "desc"):
            raise RetriableError(f"{self._what}: rows are not in the order asked for")
        if (since is not None and min(moments) < since) or (
            until is not None and max(moments) > until
        ):
            raise RetriableError(f"{self._what}: rows came that were not asked for")
        return found

    def _identity(self, row: Record) -> Hashable:
        if self.stream.key == ("id",):
            number: str | int = row["id"]  # as `rows` has seen to
            return number
        return repr([row.get(name) for name in self.stream.key])

    @property
    def _what(self) -> str:
        return f"{self._client.name}: {PATHS[self.stream.name]}"


def event_filter(types: Collection[str], since: int | None) -> Record:
    """What to ask of the events: these types, from a moment on."""
    params: Record = {f"filter[type][{at}]": name for at, name in enumerate(types)}
    if since is not None:
        params["filter[created_at][from]"] = since
    return params


def touched_leads(events: list[Record]) -> list[str]:
    """Ids of the leads that events are about, be it as what was linked."""
    found: dict[str, None] = {}
    for event in events:
        if event.get("entity_type") == "lead":
            found[str(event["entity_id"])] = None
        for side in ("value_before", "value_after"):
            for each in event.get(side) or ():
                link = each.get("link") if isinstance(each, dict) else None
                entity = link.get("entity") if isinstance(link, dict) else None
                if isinstance(entity, dict) and entity.get("type") == "lead":
                    found[str(entity.get("id"))] = None
    return list(found)


def rows(stream: Stream, content: Any) -> list[Record]:
    """The rows of one answer, as they came: a page, or a single object.

    Raises ParseError for another shape, RetriableError for a list that is empty where
    amoCRM would have answered 204.
    """
    if not isinstance(content, dict):
        raise ParseError(f"{stream.name}: the answer is no JSON object")
    inside = INSIDE.get(stream.name, stream.name)
    embedded = content.get("_embedded")
    found = embedded.get(inside) if isinstance(embedded, dict) else None
    if found is None and "id" in content:
        found = [content]
    if not isinstance(found, list):
        raise ParseError(f"{stream.name}: the answer has no _embedded.{inside}")
    total = content.get("_total_items")
    if (not found and total != 0) or (isinstance(total, int) and len(found) > total):
        raise RetriableError(f"{stream.name}: {len(found)} rows came of {total}")
    if stream.name == "statuses":
        found = _statuses(found)
    moments = {"created_at", "updated_at"} & {*stream.required_fields}
    for row in objects(stream, found, stream.name):
        if not isinstance(row["id"], str | int):
            raise ParseError(f"{stream.name}: id {row['id']!r} is no id")
        for name in moments:
            if type(row[name]) is not int:
                raise ParseError(f"{stream.name}: {name} is no moment in Unix seconds")
    return found


def _statuses(pipelines: list[Any]) -> list[Any]:
    """The statuses in all pipelines; none is without (142 and 143 are in each)."""
    found = []
    for pipeline in pipelines:
        embedded = pipeline.get("_embedded") if isinstance(pipeline, dict) else None
        inside = embedded.get("statuses") if isinstance(embedded, dict) else None
        if not isinstance(inside, list):
            raise ParseError("statuses: a pipeline has no _embedded.statuses")
        if not inside:
            raise RetriableError("statuses: a pipeline came without its statuses")
        found += inside
    return found


_moment = itemgetter("updated_at")
