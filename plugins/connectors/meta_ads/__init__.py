"""Meta: what ads on Facebook and Instagram cost each day, and the names behind the ids."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from connectors.base.batch import JsonBatch
from connectors.base.client import Answer, Auth, Limits
from connectors.base.connector import (
    Account,
    ConnectionInfo,
    Connector,
    Record,
    Stream,
    Window,
)
from connectors.base.errors import ConfigError, ConnectorError, ParseError
from connectors.base.stream import from_json, objects
from connectors.meta_ads import graph, insights
from connectors.meta_ads.errors import HOW_TO_RENEW, ApiError, wait_of
from connectors.meta_ads.streams import (
    AD_INSIGHTS,
    ADS,
    ADSETS,
    CAMPAIGN_INSIGHTS,
    CAMPAIGNS,
    CREATIVE,
    LEVELS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.batch import Batch


def _digits(value: object) -> object:
    """YAML makes a number of an id; `act_` in front of it is how the site shows it."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value).removeprefix("act_") if is_number or type(value) is str else value


class MetaSettings(BaseModel):
    """`ad_account_id`: the number of the ad account, with or without `act_`."""

    model_config = ConfigDict(extra="forbid")
    ad_account_id: Annotated[str, BeforeValidator(_digits)] = Field(pattern=r"^\d+$")


class MetaAds(Connector):
    """Insights by day and ad, Facebook apart from Instagram; names from the edges.

    Money comes in the account's currency with its decimals, without VAT. Days are those
    of the ad account's own time zone. All figures are texts (README.md).
    """

    name = "meta_ads"
    role = "ads"
    streams = (AD_INSIGHTS, CAMPAIGN_INSIGHTS, CAMPAIGNS, ADSETS, ADS)
    base_url = "https://graph.facebook.com"
    Settings = MetaSettings
    if_refused = HOW_TO_RENEW
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the access token of a system user with ads_read (Business settings, "
        "Users, System users)"
    }
    # Scores, not counts; who used them up is told to wait for minutes.
    limits = Limits(
        requests_per_second=5, burst=20, retry_after_most=1800, wait_budget=3600
    )
    settings: MetaSettings

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """A bearer token; with `extra.app_secret` its proof, which apps may ask for."""
        token, secret = connection.password, connection.get("extra.app_secret")
        headers = {"Authorization": f"Bearer {token}"}
        if not secret:
            return Auth(headers=headers)
        proof = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        return Auth(headers, {"appsecret_proof": proof}, secrets=(proof, secret))

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """Meta's own errors, under whatever status."""
        error = ApiError.of(answer.json_or_none()) if answer.body else None
        if error is None:
            return None
        return error.as_error(answer.label, answer.status, wait_of(answer.headers))

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Reports proved by their summary; lists paged to their end and counted.

        Raises RetriableError for a report that cannot be made, else FatalError.
        """
        del cursor
        if window is not None:
            yield from self._insights.read(stream, LEVELS[stream.name], window)
            return
        names = [f.name for f in stream.fields if f.name != "creative"]
        params = {
            "fields": ",".join([*names, *([CREATIVE] if stream.name == "ads" else [])]),
            "filtering": insights.of_any_status(stream.name.removesuffix("s")),
            "summary": "total_count",
        }
        what, path = f"{self.account}: {stream.name}", f"{self._node}/{stream.name}"
        for records in graph.edge(self.client, path, params, what):
            yield JsonBatch(objects(stream, records, what))

    def control_total(self, stream: Stream, window: Window) -> Decimal | None:
        """Spend of the window by campaigns, to hold the report by ads to.

        In the account's currency; None for other streams. May raise ParseError.
        """
        if stream.name != AD_INSIGHTS.name:
            return None
        batches = self._insights.read(CAMPAIGN_INSIGHTS, "campaign", window)
        rows = (row for batch in batches for row in batch.records)
        try:
            return sum((Decimal(row["spend"]) for row in rows), Decimal(0))
        except (InvalidOperation, ValueError, TypeError) as error:
            raise ParseError(f"spend by campaigns does not add up: {error}") from error

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """A recorded page as records; an order or the state of a report holds none.

        A recorded error raises what it means."""
        content, what = from_json(body), f"{self.account}: {stream.name}"
        if (error := ApiError.of(content)) is not None:
            raise error.as_error(what, wait=wait_of(headers))
        if isinstance(content, dict) and "data" not in content:
            if "report_run_id" in content:
                return []
            if "async_status" in content:
                insights.is_ready(content, what)
                return []
        return objects(stream, list(graph.page(content, what).items), what)

    def check(self) -> list[str]:
        """Ask for the ad account; its currency and zone must be those of sources.yml."""
        asked = "id,name,currency,timezone_name,account_status"
        found = self.client.get(self._node, {"fields": asked}).json()
        if not isinstance(found, dict) or "id" not in found:
            raise ParseError(f"{self.account}: the ad account has no id")
        money, zone = found.get("currency"), str(found.get("timezone_name"))
        if money != self.account.currency_code:
            raise ConfigError(f"{self.account}: set currency_code to {money}")
        if not _same_days(zone, self.account.time_zone):
            raise ConfigError(f"{self.account}: set time_zone to {zone}")
        return [
            f"ad account {found['id']} answers: {found.get('name')!r}, {money}, {zone}"
        ]

    @property
    def _node(self) -> str:
        return f"{graph.VERSION}/act_{self.settings.ad_account_id}"

    @property
    def _insights(self) -> insights.Insights:
        node = f"act_{self.settings.ad_account_id}"
        return insights.Insights(self.client, self.account, node)


def _same_days(left: str, right: str) -> bool:
    """Have two zones the same civil days this year, whatever their names?"""
    year = datetime.now(UTC).year
    moments = [datetime(year, month, 1, tzinfo=UTC) for month in range(1, 13)]
    try:
        pair = [
            [m.astimezone(ZoneInfo(z)).utcoffset() for m in moments]
            for z in (left, right)
        ]
    except (KeyError, ValueError, OSError):
        return False
    return pair[0] == pair[1]
