"""Google Analytics 4: sessions by day and source, to hold visits against."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, StringConstraints

from connectors.base import google_token
from connectors.base.connector import Connector, Limits, Record, Stream, Window
from connectors.base.errors import ConfigError
from connectors.base.stream import fields
from connectors.ga4 import errors, reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.batch import Batch
    from connectors.base.client import Answer
    from connectors.base.connection import ConnectionInfo
    from connectors.base.errors import ConnectorError
    from connectors.base.oauth import TokenRequest
    from connectors.base.sources import Account

SCOPE = "https://www.googleapis.com/auth/analytics.readonly"
METRICS = ("sessions", "engagedSessions", "totalUsers", "keyEvents")


def _day(record: Mapping[str, Any], zone: ZoneInfo) -> date:
    """`date` is 20260531, in the zone of the property."""
    del zone
    text = str(record["date"])
    if len(text) != 8 or not (text.isascii() and text.isdecimal()):
        raise ValueError("date is not of eight digits")
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _report(name: str, dimensions: tuple[str, ...]) -> Stream:
    """Metrics of a day by these dimensions."""
    key = ("date", *dimensions)
    return Stream(
        name=name,
        kind="window",
        key=key,
        fields=fields(*key, *METRICS),
        date_field="date",
        date_of=_day,
        restate_days=12,  # sessions are attributed anew for so long
        required_fields=(*key, *METRICS),
    )


TRAFFIC = _report(
    "traffic",
    (
        "sessionSource",
        "sessionMedium",
        "sessionCampaignName",
        "sessionDefaultChannelGroup",
    ),
)
DEVICES = _report("devices", ("deviceCategory", "sessionDefaultChannelGroup"))


class Ga4Settings(BaseModel):
    """`property_id`: the number of the property (not the measurement id G-…)."""

    model_config = ConfigDict(extra="forbid")
    property_id: Annotated[str, StringConstraints(pattern=r"^\d{6,12}$")]


class Ga4(Connector):
    """Reads daily reports of one property, paged to the declared number of rows.

    The figures are Google's estimates: a report that was sampled, thresholded or cut
    into an "(other)" row lands with a warning.
    """

    name = "ga4"
    role = "analytics"
    streams = (TRAFFIC, DEVICES)
    base_url = "https://analyticsdata.googleapis.com"
    Settings = Ga4Settings
    if_refused = errors.HOW_TO_RENEW
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the refresh token of a Google user who sees the property, or the "
        "whole key file of a service account on one line",
        **google_token.CLIENT_HELP,
    }
    # 10 requests of a property at a time, shared with everyone who reads it
    limits = Limits(
        requests_per_second=5,
        burst=5,
        max_concurrent=4,
        retry_after_most=900,
        wait_budget=1800,
    )
    settings: Ga4Settings

    @classmethod
    def connection_needs(cls, connection: ConnectionInfo) -> Mapping[str, str]:
        """A service account's key stands in for the OAuth client."""
        return google_token.needs(connection, cls.connection_help)

    @classmethod
    def token_request(
        cls, account: Account, connection: ConnectionInfo, refresh_token: str | None
    ) -> TokenRequest:
        """A user's refresh token or a service account's key for an access token."""
        del account, refresh_token
        return google_token.token_request(connection, SCOPE)

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """Google's errors by their status, quotas by what they say."""
        return errors.in_answer(answer)

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """All rows of the window's days; `rowCount` proves them complete.

        Raises ConfigError when the property counts its days in another zone,
        RetriableError when rows moved while they were read, ParseError, FatalError.
        """
        del cursor
        if window is None:
            raise ConfigError(f"{self.name}.{stream.name} needs a window of days")
        yield from self._reports.read(stream, window, self.account)

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """A recorded report as records; a recorded error raises what it means."""
        del headers
        return reports.parsed(stream, body, f"{self.account}: {stream.name}")

    def check(self) -> list[str]:
        """Ask for the sessions of yesterday."""
        zone = self.account.time_zone
        today = datetime.now(ZoneInfo(zone)).date()
        window = Window(today - timedelta(days=1), today, zone)
        sessions = self._reports.sessions(window, self.account)
        return [
            f"Google Analytics answers for property {self.settings.property_id}: "
            f"{sessions} sessions yesterday ({zone})"
        ]

    @property
    def _reports(self) -> reports.Reports:
        path = f"v1beta/properties/{self.settings.property_id}:runReport"
        return reports.Reports(self.client, path)
