"""Calltouch: calls and requests with the visits that caused them, and deals."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from connectors.base.batch import Batch, JsonBatch, Record
from connectors.base.connector import Account, Auth, ConnectionInfo, Connector, Limits
from connectors.base.errors import ParseError
from connectors.base.paging import Page, page_number
from connectors.base.stream import Stream, Window, from_json, objects, outline
from connectors.calltouch import streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE_SIZE = 1000  # the most the API gives
DAYS_AT_ONCE = 31
REQUEST_DAYS_AT_ONCE = 7  # requests come in one piece
# journals that are read page by page: path behind the site, and the blocks to add
JOURNALS = {
    "calls": (
        "calls-diary/calls",
        ("withCallTags", "withYandexDirect", "withComments"),
    ),
    "deal_journal": ("orders-diary/orders", ("withOrdersTags", "withComments")),
}


class Calltouch(Connector):
    """Reads the journals by civil days of the cabinet, many of them again each run:
    they say neither what changed nor what was deleted (README.md)."""

    name = "calltouch"
    role = "calls"
    streams = streams.ALL
    base_url = "https://api.calltouch.ru"
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the API token (clientApiId; in the cabinet: Интеграции, Отправка "
        "данных во внешние системы, API)"
    }
    if_refused = (
        "check settings.site_id in sources.yml, and that the token in field password "
        "is the cabinet's own (Интеграции, Отправка данных во внешние системы, API)"
    )
    # 5 requests a second per IP address; one is left for other users of it.
    limits = Limits(requests_per_second=4)

    class Settings(BaseModel):
        """`site_id`: the id of the site in the cabinet; no API lists them."""

        model_config = ConfigDict(extra="forbid")
        site_id: int = Field(gt=0)

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """The token is a query parameter."""
        return Auth(params={"clientApiId": connection.password})

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Records of the window's days; raises ParseError for one of another day."""
        assert window is not None, "journals are read by days"
        in_pages = stream.name in JOURNALS
        for chunk in window.chunks(DAYS_AT_ONCE if in_pages else REQUEST_DAYS_AT_ONCE):
            read = self._journal if in_pages else self._requests
            for records in read(stream, chunk):
                cleaned = [streams.clean(record) for record in records]
                objects(stream, cleaned, stream.name)
                streams.refuse_others(stream, cleaned, chunk)
                yield JsonBatch(cleaned)

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """Records of a recorded page or of a bare array, else ParseError."""
        content = from_json(body)
        if isinstance(content, list):
            content = {"records": content, "recordsTotal": len(content)}
        return [streams.clean(record) for record in _page(content, stream.name).items]

    def check(self) -> list[str]:
        """Ask for the calls of yesterday, one of them."""
        zone = self.account.time_zone
        today = datetime.now(ZoneInfo(zone)).date()
        window = Window(today - timedelta(days=1), today, zone)
        total = self._journal_page(self.stream("calls"), window, 1, 1).total
        return [f"site {self.settings.site_id} answers; calls yesterday: {total}"]

    def _journal(self, stream: Stream, window: Window) -> Iterator[list[Record]]:
        """Pages; the declared total proves them complete."""
        key = stream.key[0]
        pages = page_number(
            lambda number: self._journal_page(stream, window, number),
            key=lambda record: str(record[key]) if record.get(key) else None,
            what=f"{stream.name} {window.date_from} to {window.last_day}",
        )
        yield from map(list, pages)

    def _journal_page(
        self, stream: Stream, window: Window, number: int, limit: int = PAGE_SIZE
    ) -> Page[Record]:
        path, blocks = JOURNALS[stream.name]
        answer = self.client.get(
            f"calls-service/RestAPI/{self.settings.site_id}/{path}",
            {
                "dateFrom": f"{window.date_from:%d/%m/%Y}",
                "dateTo": f"{window.last_day:%d/%m/%Y}",  # this day is read, too
                "page": number,
                "limit": limit,
                **dict.fromkeys(blocks, "true"),
            },
        )
        return _page(answer.json(), stream.name)

    def _requests(self, stream: Stream, window: Window) -> Iterator[list[Record]]:
        """One bare array. Nothing in an empty one says that it is whole, so it is
        believed when it comes twice."""
        ask = partial(
            self.client.get,
            "calls-service/RestAPI/requests",
            {
                "siteId": self.settings.site_id,
                "dateFrom": f"{window.date_from:%m/%d/%Y}",  # unlike the journals
                "dateTo": f"{window.last_day:%m/%d/%Y}",  # this day is read, too
                "withRequestTags": "true",
                "withYandexDirect": "true",
            },
        )
        records = ask().json() or ask().json()
        if not isinstance(records, list):
            raise ParseError(f"requests: no list of records: {outline(records)}")
        total = {"records": records, "recordsTotal": len(records)}
        if records:
            yield list(_page(total, stream.name).items)


def _page(content: Any, what: str) -> Page[Record]:
    """A page of a journal. Raises ParseError when it has another shape."""
    records = content.get("records") if isinstance(content, dict) else None
    if not isinstance(records, list) or not {*map(type, records)} <= {dict}:
        raise ParseError(f"{what}: no list of records: {outline(content)}")
    total, pages = content.get("recordsTotal"), content.get("pageTotal")
    if not isinstance(total, int) or not isinstance(pages, int | None):
        raise ParseError(f"{what}: recordsTotal and pageTotal must be whole numbers")
    return Page(records, total=total, pages=pages)
