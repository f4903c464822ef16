"""Calltouch: one record per call, with the visit that caused it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from connectors.base.batch import Batch, JsonBatch, Record
from connectors.base.connector import Account, Auth, ConnectionInfo, Connector, Limits
from connectors.base.errors import ParseError
from connectors.base.paging import Page, page_number
from connectors.base.stream import Stream, Window, fields, from_json, outline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE_SIZE = 1000  # the most the API gives
DAYS_AT_ONCE = 31


def _call_day(record: Mapping[str, Any], zone: ZoneInfo) -> date:
    """`timestamp` is the only field with a moment; the printed dates have no zone."""
    return datetime.fromtimestamp(int(record["timestamp"]), zone).date()


# fmt: off
FIELDS = fields(
    "callphase", "attribution", "callTags", "date", "duration", "manager", "successful",
    "uniqueCall", "targetCall", "uniqTargetCall", "callbackCall", "city", "source",
    "medium", "keyword", "hostname", "utmSource", "utmMedium", "utmCampaign",
    "utmContent", "utmTerm", "userAgent", "ip", "waitingConnect", "additionalTags",
    "device", "os", "browser", "timestamp", "sessionDate", "yandexDirect",
    "googleAdWords", "siteName", "dcm", "subPoolName", "statusDetails",
    ids=("callId", "sessionId", "ctCallerId", "clientId", "yaClientId", "sipCallId",
         "callReferenceId", "callClientUniqueId", "siteId", "ctClientId", "ctGlobalId"),
    phone=("callerNumber",),
    business_number=("phoneNumber", "redirectNumber"),
    url=("url", "callUrl", "ref"),
    text=("comments", "phrases", "phonesInText", "callbackInfo", "customFields", "attrs",
          "orders", "order", "mapVisits"),
)
# fmt: on
CALLS = Stream(
    name="calls",
    kind="window",
    key=("callId",),
    fields=FIELDS,
    date_field="timestamp",
    date_of=_call_day,
    restate_days=30,  # tags, managers and targets are set days after the call
    required_fields=("callId", "timestamp", "callerNumber", "phoneNumber"),
    large_records=True,
)


class Calltouch(Connector):
    """Reads the calls journal by civil days of the cabinet, 30 of them again each run:
    it says neither what changed nor what was deleted. Times are in seconds (README.md)."""

    name = "calltouch"
    role = "calls"
    streams = (CALLS,)
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
        """Calls of the window's days; the declared total proves them complete.

        Raises ParseError for a call of another day: the account's zone is wrong."""
        assert window is not None, "calls are read by days"
        for chunk in window.chunks(DAYS_AT_ONCE):

            def fetch(number: int, chunk: Window = chunk) -> Page[Record]:
                return _page(self._journal(chunk, number, PAGE_SIZE))

            what = f"calls {chunk.date_from} to {chunk.last_day}"
            for records in page_number(fetch, key=_call_id, what=what):
                chunk.refuse_others((r.get("timestamp") for r in records), what)
                yield JsonBatch(list(records))

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """Records of a recorded page or a one-day request's bare array, else ParseError."""
        content = from_json(body)
        if isinstance(content, list):
            content = {"records": content, "recordsTotal": len(content)}
        return list(_page(content).items)

    def check(self) -> list[str]:
        """Ask for the calls of yesterday, one of them."""
        zone = self.account.time_zone
        today = datetime.now(ZoneInfo(zone)).date()
        window = Window(today - timedelta(days=1), today, zone)
        total = _page(self._journal(window, 1, 1)).total
        return [f"site {self.settings.site_id} answers; calls yesterday: {total}"]

    def _journal(self, window: Window, page: int, limit: int) -> Any:
        return self.client.get(
            f"calls-service/RestAPI/{self.settings.site_id}/calls-diary/calls",
            {
                "dateFrom": f"{window.date_from:%d/%m/%Y}",
                "dateTo": f"{window.last_day:%d/%m/%Y}",  # this day is read, too
                "page": page,
                "limit": limit,
                "withCallTags": "true",
                "withYandexDirect": "true",
                "withComments": "true",
            },
        ).json()


def _call_id(record: Record) -> str | None:
    return str(record["callId"]) if record.get("callId") else None


def _page(content: Any) -> Page[Record]:
    """A page of the journal. Raises ParseError when it has another shape."""
    records = content.get("records") if isinstance(content, dict) else None
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ParseError(f"calls: no list of records: {outline(content)}")
    total, pages = content.get("recordsTotal"), content.get("pageTotal")
    if not isinstance(total, int) or not isinstance(pages, int | None):
        raise ParseError("calls: recordsTotal and pageTotal must be whole numbers")
    return Page(records, total=total, pages=pages)
