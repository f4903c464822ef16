"""CoMagic, UIS and Novofon: calls, sessions, chats and messages of one Data API."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from connectors.base.batch import Batch, JsonBatch, Record
from connectors.base.connector import Account, Auth, ConnectionInfo, Connector, Limits
from connectors.base.stream import Stream, Window, from_json
from connectors.comagic import errors, reports, rpc, streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.client import Answer, ApiClient
    from connectors.base.paging import Page

DAYS_AT_ONCE = 31  # the API takes three months; a month keeps pages few and small
PORTALS = (
    "https://dataapi.comagic.ru",
    "https://dataapi.uiscom.ru",
    "https://dataapi-jsonrpc.novofon.ru",
    "https://dataapi.callgear.com",
)


class ComagicSettings(BaseModel):
    """`user_id`: the client whose account an agent's key reads. `sign_in`: `key` (the
    password is a permanent key) or `user` (login and password of a user)."""

    model_config = ConfigDict(extra="forbid")
    user_id: int | None = Field(default=None, gt=0)
    sign_in: Literal["key", "user"] = "key"


class Comagic(Connector):
    """Reads five reports by civil days of the account, 30 of them again each run: none
    says what changed or was deleted. Times are the account's own, to the second."""

    name = "comagic"
    role = "calls"
    streams = streams.ALL
    base_url = PORTALS[0]
    Settings = ComagicSettings
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the permanent API key of a user (in the cabinet: Администратор, "
        "Управление пользователями), or the user's password with sign_in: user"
    }
    if_refused = errors.NEW_KEY
    # 150 a minute and some 750 a day, by the plan; others may use the account, too.
    limits = Limits(requests_per_second=2, burst=10)
    settings: ComagicSettings

    def __init__(
        self, account: Account, connection: ConnectionInfo, client: ApiClient
    ) -> None:
        super().__init__(account, connection, client)
        signs_in = self.settings.sign_in == "user"
        self._api = rpc.Caller(client, connection, signs_in=signs_in)

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """The key goes into each request's body; here it is only made a secret."""
        if account.settings.get("sign_in") == "user":
            connection.require("login", "the login of the user whose password is there")
        return Auth(secrets=(connection.password,))

    @classmethod
    def is_own_address(cls, url: str) -> bool:
        """One API at four portals; a key of one is not valid at another."""
        return url.rstrip("/") in PORTALS

    @classmethod
    def judge(cls, answer: Answer) -> Any:
        """Errors come under HTTP 200."""
        return errors.judge(answer)

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """The report's records of the window's days, proved by its own totals."""
        assert window is not None, "reports are read by days"
        ask = partial(self._page, stream)
        for chunk in window.chunks(DAYS_AT_ONCE):
            for records in reports.read(ask, stream, *_seconds_of(chunk)):
                yield JsonBatch(list(records))

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """Records of a recorded page, or of a call the vendor tells of elsewhere."""
        return reports.recorded(from_json(body), stream)

    def check(self) -> list[str]:
        """Ask for the calls of yesterday, one of them."""
        zone = self.account.time_zone
        today = datetime.now(ZoneInfo(zone)).date()
        day = Window(today - timedelta(days=1), today, zone)
        total = self._page(self.stream("calls"), *_seconds_of(day), 0, 1).total
        return [f"the account answers; calls yesterday: {total}"]

    def _page(
        self, stream: Stream, first: datetime, last: datetime, offset: int, limit: int
    ) -> Page[Record]:
        report = streams.REPORTS[stream.name]
        agent = self.settings.user_id
        content = self._api.call(
            report.method,
            {
                **({} if agent is None else {"user_id": agent}),
                "date_from": f"{first}",
                "date_till": f"{last}",  # this second is in, too
                "offset": offset,
                "limit": min(limit, reports.PAGE_SIZE),
                "fields": [field.name for field in stream.fields],
                "sort": [{"field": report.sort_by, "order": "asc"}],
                **dict(report.params),
            },
        )
        return reports.page_of(content, stream.name)


def _seconds_of(window: Window) -> tuple[datetime, datetime]:
    """The first and the last second of the days, as the account's clock shows them."""
    last = datetime.combine(window.last_day, time(23, 59, 59))
    return datetime.combine(window.date_from, time()), last
