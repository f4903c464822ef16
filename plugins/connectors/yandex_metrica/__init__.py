"""Yandex Metrica: the visits, page views and goals of a counter."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from connectors.base.batch import JsonBatch
from connectors.base.client import Answer, Limits
from connectors.base.connector import Auth, Connector, Record, Stream, Window
from connectors.base.errors import ConfigError, ConnectorError
from connectors.base.stream import fields, from_json
from connectors.yandex_metrica import goals, logs
from connectors.yandex_metrica.errors import HOW_TO_RENEW, api_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.batch import Batch
    from connectors.base.connection import ConnectionInfo
    from connectors.base.sources import Account

VISITS = Stream(
    name="visits",
    kind="window",
    key=("ym:s:visitID",),
    fields=fields(
        "ym:s:date",
        "ym:s:dateTime",
        "ym:s:dateTimeUTC",
        "ym:s:isNewUser",
        "ym:s:pageViews",
        "ym:s:visitDuration",
        "ym:s:bounce",
        "ym:s:regionCountry",
        "ym:s:regionCity",
        "ym:s:deviceCategory",
        "ym:s:goalsDateTime",
        "ym:s:lastTrafficSource",
        "ym:s:lastAdvEngine",
        "ym:s:lastReferalSource",
        "ym:s:lastSearchEngine",
        "ym:s:lastSocialNetwork",
        "ym:s:lastDirectPhraseOrCond",
        "ym:s:UTMSource",
        "ym:s:UTMMedium",
        "ym:s:UTMCampaign",
        "ym:s:UTMContent",
        "ym:s:UTMTerm",
        ids=(
            "ym:s:visitID",
            "ym:s:counterID",
            "ym:s:watchIDs",
            "ym:s:clientID",
            "ym:s:goalsID",
            "ym:s:lastDirectClickOrder",
            "ym:s:lastDirectBannerGroup",
            "ym:s:lastDirectClickBanner",
            "ym:s:lastGCLID",
        ),
        url=("ym:s:startURL", "ym:s:endURL", "ym:s:referer"),
    ),
    # its first ten characters are `ym:s:date`: both are in the counter's zone
    date_field="ym:s:dateTime",
    restate_days=5,
    required_fields=("ym:s:visitID", "ym:s:dateTime"),
)
HITS = Stream(
    name="hits",
    kind="window",
    key=("ym:pv:watchID",),
    fields=fields(
        "ym:pv:dateTime",
        "ym:pv:isPageView",
        "ym:pv:artificial",
        "ym:pv:link",
        "ym:pv:download",
        ids=(
            "ym:pv:watchID",
            "ym:pv:counterID",
            "ym:pv:clientID",
            "ym:pv:goalsID",
        ),
        text=("ym:pv:title",),
        url=("ym:pv:URL", "ym:pv:referer"),
    ),
    date_field="ym:pv:dateTime",
    restate_days=3,
    required_fields=("ym:pv:watchID", "ym:pv:dateTime"),
)
GOALS = Stream(
    name="goals",
    kind="snapshot",
    key=("id",),
    fields=fields(
        "id",
        "name",
        "type",
        "default_price",
        "goal_source",
        "is_favorite",
        "is_retargeting",
        "status",
        "conditions",
        "flag",
        "prev_goal_id",
        "steps",
        "depth",
        "duration",
        "hide_phone_number",
    ),
    required_fields=("id", "name"),
)


class MetricaSettings(BaseModel):
    """`counter_id`: the number of the counter; `hits`: read its page views, too.

    Hits are many (README.md) and nothing but their own table is made of them.
    """

    model_config = ConfigDict(extra="forbid")
    counter_id: int = Field(gt=0)
    hits: bool = False


class YandexMetrica(Connector):
    """Visits by the day they began, hits by their own, in the zone of the counter.

    Metrica rewrites a visit while it goes on and for some days after (99 % are final
    in three), so each read takes the last five days along, and three of hits.
    """

    name = "yandex_metrica"
    role = "analytics"
    streams = (VISITS, HITS, GOALS)
    base_url = "https://api-metrika.yandex.net"
    Settings = MetricaSettings
    if_refused = HOW_TO_RENEW
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the OAuth token of Yandex ID with the right metrika:read"
    }
    # 10 requests a second from one address, 3 at a time for one user.
    limits = Limits(requests_per_second=5, burst=5, max_concurrent=2)
    making_budget: ClassVar[float] = 4 * 3600  # seconds a log may take to be made
    settings: MetricaSettings

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """The word is OAuth, not Bearer."""
        del account
        return Auth(headers={"Authorization": f"OAuth {connection.password}"})

    @classmethod
    def streams_of(cls, account: Account) -> tuple[Stream, ...]:
        """Hits only where the account asks for them."""
        wants_hits = account.settings.get("hits") is True
        return cls.streams if wants_hits else (VISITS, GOALS)

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """Metrica's own errors, told apart by their kind rather than by the status."""
        if answer.status < 400:
            return None
        return api_error(answer.json_or_none(), answer.status, answer.label)

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """All parts of all logs of the window, each as long as it was declared; goals.

        Durations are seconds; `dateTimeUTC` is UTC+3 (README.md). Raises ConfigError
        for a window that is not over, RetriableError, FatalError or ParseError.
        """
        del cursor
        if stream.name == GOALS.name:
            yield JsonBatch(goals.read(self.client, self.settings.counter_id, stream))
            return
        if window is None:
            raise ConfigError(f"{self.name}.{stream.name} needs a window of days")
        today = datetime.now(ZoneInfo(self.account.time_zone)).date()
        if window.last_day >= today:
            raise ConfigError(
                f"{self.name}: the window ends on {window.last_day}, but Metrica gives "
                f"logs of days before today only: set date_to to {today} or earlier"
            )
        yield from self._logs(stream).read(window)

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """A recorded part or list as records; a recorded error raises what it means."""
        del headers
        if (error := logs.error_in(body, f"{self.account}: {stream.name}")) is not None:
            raise error
        if stream.name == GOALS.name:
            return goals.listed(stream, from_json(body))
        return logs.records(stream, body)

    def check(self) -> list[str]:
        """Ask for the list of logs."""
        found = self._logs(VISITS).list()
        kept = [log for log in found if log.get("status") == "processed"]
        size = sum(log["size"] for log in kept if isinstance(log.get("size"), int))
        return [
            f"Yandex Metrica answers for counter {self.settings.counter_id}: "
            f"{len(kept)} prepared logs take {size / 1e9:.2f} of 10 GB"
        ]

    def _logs(self, stream: Stream) -> logs.LogRequests:
        return logs.LogRequests(
            self.client, self.settings.counter_id, stream, budget=self.making_budget
        )
