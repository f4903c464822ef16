"""GAQL: what to ask, how its answers become records, and what proves them whole.

A record is flat: `campaign.id` is the row's {"campaign": {"id": …}}, as the vendor
writes it (int64 as text); `resourceName`, which comes unasked, is left out. `cost` is
made here of `metrics.costMicros`: the account's currency, to the last micro.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

from connectors.base import paging
from connectors.base.batch import JsonBatch, Record
from connectors.base.errors import ConfigError, ParseError, RetriableError
from connectors.base.paging import Page
from connectors.base.stream import Window, from_json, objects, outline
from connectors.google_ads.errors import in_content
from connectors.google_ads.rows import columns_of, flat, flattened, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.client import ApiClient
    from connectors.base.sources import Account
    from connectors.base.stream import Stream

log = logging.getLogger(__name__)

_INT64 = re.compile("-?[0-9]{1,19}")
_FIGURE = re.compile("[1-9][0-9]{0,17}")
RESOURCES = {
    "account_performance": "customer",
    "campaign_performance": "campaign",
    "ad_group_performance": "ad_group",
    "ad_performance": "ad_group_ad",
    "keyword_performance": "ad_group_ad",
    "search_terms": "search_term_view",
    "click_view": "click_view",
    "campaigns": "campaign",
    "ad_groups": "ad_group",
    "ads": "ad_group_ad",
    "keywords": "ad_group_criterion",
}
"""Stream -> what its query is FROM."""

WITHOUT_ADS = ("PERFORMANCE_MAX", "SMART", "LOCAL", "LOCAL_SERVICES")
"""Types of campaigns whose figures the API gives at no level below the campaign."""

DAYS_AT_ONCE = 7
DAY = "segments.date"
OURS = "cost"
MICROS = "metrics.costMicros"
SUMMED = ("metrics.impressions", "metrics.clicks", MICROS)
ENVELOPE = {"results", "fieldMask", "requestId", "summaryRow", "nextPageToken"}
ACCOUNT_FIELDS = (
    "customer.id",
    "customer.descriptiveName",
    "customer.timeZone",
    "customer.currencyCode",
)


def query(stream: Stream, window: Window | None) -> str:
    """The stream's fields FROM its resource, of the window's days."""
    names = [field.name for field in stream.fields if field.name != OURS]
    where = _days(window) if window else []
    if stream.name == "keywords":
        where.append("ad_group_criterion.type = 'KEYWORD'")
    return gaql(names, RESOURCES[stream.name], where)


def gaql(names: list[str], resource: str, where: list[str]) -> str:
    """A query; field names are given as answers spell them (camelCase)."""
    asked = ", ".join(re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", n) for n in names)
    conditions = f" WHERE {' AND '.join(where)}" if where else ""
    return f"SELECT {asked} FROM {resource}{conditions}"


def _days(window: Window) -> list[str]:
    first, last = window.date_from, window.last_day
    if first == last:
        return [f"segments.date = '{first}'"]
    return [f"segments.date BETWEEN '{first}' AND '{last}'"]


@dataclass(frozen=True)
class Search:
    """The two search methods of one account; `path` is "v25/customers/123"."""

    client: ApiClient
    path: str
    headers: Mapping[str, str]

    def report(self, stream: Stream, window: Window) -> Iterator[JsonBatch]:
        """All rows of the window's days. Raises RetriableError when they are not
        proved to be all: by the summary row that ends a stream, else by a count."""
        days = 1 if stream.name == "click_view" else DAYS_AT_ONCE
        for chunk in window.chunks(days):
            what = f"{stream.name} of {chunk.date_from} to {chunk.last_day}"
            asked = query(stream, chunk)
            body = {"query": asked, "summaryRowSetting": "SUMMARY_ROW_WITH_RESULTS"}
            content = self._post("searchStream", body)
            found = rows(stream, content, f"{self.client.name}: {what}")
            asked_days = {day.isoformat() for day in chunk.days}
            if others := {*found.column(DAY, None)} - asked_days:
                raise ParseError(f"{self.client.name}: {what}: rows of {others.pop()}")
            if not _agrees(found):
                self._prove(asked, len(found.records), what)
            yield JsonBatch(found.records)

    def listed(self, stream: Stream) -> Iterator[JsonBatch]:
        """All objects of a list, paged to the declared total."""
        what = f"{self.client.name}: {stream.name}"
        asked: dict[str, Any] = {
            "query": query(stream, None),
            "searchSettings": {"returnTotalResultsCount": True},
        }

        def fetch(token: str | None) -> Page[Record]:
            body = {**asked, "pageToken": token} if token else asked
            content = self._post("search", body)
            records = rows(stream, content, what).records
            return Page(records, _count(content, what), next=_next(content, what))

        for records in paging.cursor(fetch, what=what):
            yield JsonBatch(list(records))

    def total(self, resource: str, window: Window) -> Decimal:
        """Cost of the window by another report, in the account's currency."""
        where = _days(window)
        if resource == "campaign":
            types = ", ".join(f"'{each}'" for each in WITHOUT_ADS)
            where.append(f"campaign.advertising_channel_type NOT IN ({types})")
        content = self._post("search", {"query": gaql([MICROS], resource, where)})
        what = f"{self.client.name}: total of {resource}"
        total, token = 0, _next(content, what)
        pages = [content]
        while token:
            body = {"query": gaql([MICROS], resource, where), "pageToken": token}
            pages.append(self._post("search", body))
            token = _next(pages[-1], what)
        for page in pages:
            for row in _results(_envelope(page, what), what):
                total += _whole(flat(row).get(MICROS, "0"))
        return Decimal(total).scaleb(-6)

    def check_account(self, account: Account) -> str:
        """Is the account's zone and currency what sources.yml says? A line for people.

        Raises ConfigError naming the field when it is not.
        """
        content = self._post(
            "search", {"query": gaql([*ACCOUNT_FIELDS], "customer", [])}
        )
        what = f"{self.client.name}: account"
        found = [flat(row) for row in _results(_envelope(content, what), what)]
        if len(found) != 1:
            raise ParseError(f"{what}: one row was expected, {len(found)} came")
        zone, currency = (found[0].get(name) for name in ACCOUNT_FIELDS[2:])
        for name, said, given in (
            ("time_zone", account.time_zone, zone),
            ("currency_code", account.currency_code, currency),
        ):
            if given != said:
                raise ConfigError(
                    f"{account}: {name} is {said} in sources.yml, but Google Ads counts "
                    f"in {given}: write {given} there"
                )
        return (
            f"Google Ads answers for account {found[0].get('customer.id')} "
            f"({found[0].get('customer.descriptiveName', 'no name')}), {zone}, {currency}"
        )

    def _prove(self, asked: str, read: int, what: str) -> None:
        """Raise RetriableError unless the vendor counts as many rows as came."""
        settings = {"returnTotalResultsCount": True, "omitResults": True}
        content = self._post("search", {"query": asked, "searchSettings": settings})
        count = _count(content, what)
        if count != read:
            raise RetriableError(
                f"{self.client.name}: {what}: {read} rows came where {count} are there"
            )

    def _post(self, method: str, body: dict[str, Any]) -> Any:
        path = f"{self.path}/googleAds:{method}"
        return self.client.post(path, body, headers=self.headers).json()


def parsed(stream: Stream, body: bytes, what: str) -> list[Record]:
    """A recorded answer as records. Raises ParseError, or what a recorded error means."""
    content = from_json(body)
    if (error := in_content(content, what)) is not None:
        raise error
    return rows(stream, content, what).records


@dataclass
class Found:
    """The records of an answer, its summary row if there is one, and, for each part
    of the answer, the number of its records and their columns."""

    records: list[Record]
    summary: Record | None
    parts: list[tuple[int, dict[str, list[Any]]]]

    def column(self, name: str, missing: Any) -> list[Any]:
        """This field of all records."""
        columns = (part.get(name) or [missing] * size for size, part in self.parts)
        return list(chain.from_iterable(columns))


def rows(stream: Stream, content: Any, what: str) -> Found:
    """What is in a stream's chunks, or in a page.

    No `results` at all means that nothing was found. Raises ParseError.
    """
    found = Found([], None, [])
    has_cost = any(field.name == OURS for field in stream.fields)
    for chunk in content if isinstance(content, list) else [content]:
        envelope = _envelope(chunk, what)
        if found.summary is not None:
            raise ParseError(f"{what}: something comes after the summary row")
        if "summaryRow" in envelope:
            found.summary = flat(envelope["summaryRow"])
        results = _results(envelope, what)
        columns = columns_of(results)
        if columns is None:
            records = flattened(results)
            columns = {
                name: [record.get(name, missing) for record in records]
                for name, missing in ((DAY, None), *dict.fromkeys(SUMMED, "0").items())
            }
            if has_cost:
                for record, cost in zip(records, _moneys(columns[MICROS]), strict=True):
                    record[OURS] = cost
        else:
            if has_cost and results:
                columns[OURS] = _moneys(columns.get(MICROS) or ["0"] * len(results))
            records = records_of(columns)
        found.parts.append((len(records), columns))
        found.records += records
    objects(stream, found.records, what)
    return found


def _envelope(chunk: Any, what: str) -> dict[str, Any]:
    if not isinstance(chunk, dict) or not ENVELOPE & chunk.keys():
        raise ParseError(f"{what}: not an answer of a search: {outline(chunk)}")
    return chunk


def _results(envelope: dict[str, Any], what: str) -> list[dict[str, Any]]:
    results = envelope.get("results", [])
    if not isinstance(results, list) or not {*map(type, results)} <= {dict}:
        raise ParseError(f"{what}: results is not a list of objects")
    return results


def _money(micros: Any) -> str:
    """Millionths, a whole number as text, as a decimal text. Raises ParseError."""
    if type(micros) is str and len(micros) > 6 and _FIGURE.fullmatch(micros):
        return f"{micros[:-6]}.{micros[-6:]}"
    return _units(_whole(micros))


def _moneys(column: list[Any]) -> list[str]:
    """The same of a whole column. Raises ParseError."""
    if not _are_figures(column):
        return list(map(_money, column))
    return [
        f"{micros[:-6]}.{micros[-6:]}"
        if len(micros) > 6 and micros[0] != "0"
        else _units(int(micros))
        for micros in column
    ]


def _sum(column: list[Any]) -> int:
    """The sum of whole numbers. Raises ParseError."""
    return sum(map(int if _are_figures(column) else _whole, column))


def _are_figures(column: list[Any]) -> bool:
    """Are all of these digits and nothing else, as it nearly always is?"""
    if {*map(type, column)} != {str}:
        return False
    joined = "".join(column)
    return (
        joined.isascii()
        and joined.isdecimal()
        and all(column)
        and max(map(len, column)) < 20
    )


def _units(micros: int) -> str:
    """Millionths as a decimal text, exact."""
    if micros < 0:
        return f"-{_units(-micros)}"
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"


def _whole(value: Any) -> int:
    """An int64, which comes as text. Raises ParseError."""
    if type(value) is str and value.isdigit() and value.isascii() and len(value) < 20:
        return int(value)
    if type(value) is int:
        return value
    if type(value) is not str or _INT64.fullmatch(value) is None:
        raise ParseError(f"a figure is no whole number: {str(value)[:40]!r}")
    return int(value)


def _agrees(found: Found) -> bool:
    """Do the rows add up to the vendor's summary row?"""
    summary = found.summary
    if summary is None:
        return False
    sums = {name: _sum(found.column(name, "0")) for name in SUMMED}
    asked = {name for name in SUMMED if name in summary or sums[name]}
    if not asked and found.records:
        return False
    return all(_whole(summary.get(name, "0")) == sums[name] for name in asked)


def _count(content: Any, what: str) -> int:
    """The declared number of rows; 0 is not written out."""
    return _whole(_envelope(content, what).get("totalResultsCount", "0"))


def _next(content: Any, what: str) -> str | None:
    token = _envelope(content, what).get("nextPageToken") or None
    if token is not None and not isinstance(token, str):
        raise ParseError(f"{what}: nextPageToken is not text")
    return token
