"""VK Ads: what each ad cost each day, and the names and links behind the ids."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from connectors.base.batch import JsonBatch
from connectors.base.client import Answer, Limits
from connectors.base.connector import (
    Account,
    ConnectionInfo,
    Connector,
    Record,
    Stream,
    TokenRequest,
    Window,
)
from connectors.base.errors import ConnectorError, ParseError, TokenExpired
from connectors.base.stream import fields, from_json, objects
from connectors.vk_ads import figures, lists
from connectors.vk_ads.errors import HOW_TO_RENEW, ApiError, too_many

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.batch import Batch

TOKEN_URL = "https://ads.vk.com/api/v2/oauth2/token.json"  # noqa: S105


def _statistics(name: str) -> Stream:
    """Figures of group `base` by day; money is text, counts are numbers."""
    return Stream(
        name=name,
        kind="window",
        key=("date", "id"),
        fields=fields(
            *("date", "shows", "clicks", "goals", "spent"),
            *("cpm", "cpc", "cpa", "ctr", "cr", "vk"),
            ids=("id",),
        ),
        date_field="date",
        amount_field="spent",
        # spend is cleaned of fraud for days, goals come for weeks after the click
        restate_days=30,
        history_days=365,  # the API knows 366 days
        required_fields=("date", "id", "spent"),
    )


BANNER_STATISTICS = _statistics("banner_statistics")
AD_PLAN_STATISTICS = _statistics("ad_plan_statistics")
OF_WHAT = {"banner_statistics": "banners", "ad_plan_statistics": "ad_plans"}


def _objects(name: str, *plain: str, parent: tuple[str, ...] = ()) -> Stream:
    """A snapshot of a list; `urls` of a banner hold its links."""
    declared = fields(
        *("name", "status", "created", "updated", *plain),
        ids=("id", *parent),
        url=("urls",) if name == "banners" else (),
    )
    needed = ("id", "ad_group_id") if name == "banners" else ("id",)
    return Stream(name, "snapshot", ("id",), declared, required_fields=needed)


AD_PLANS = _objects("ad_plans", "objective", "date_start", "date_end")
AD_GROUPS = _objects("ad_groups", "enable_utm", "utm", parent=("ad_plan_id",))
BANNERS = _objects("banners", "moderation_status", parent=("ad_group_id",))


class VkSettings(BaseModel):
    """`agency_client_name`: whose cabinet to read with the key of an agency."""

    model_config = ConfigDict(extra="forbid")
    agency_client_name: str | None = None


class VkAds(Connector):
    """Statistics of ads by day for every ad that ever was, names and links from lists.

    Money comes in roubles with two decimals; whether with VAT is for the owner to say.
    Days are those of Moscow (README.md).
    """

    name = "vk_ads"
    role = "ads"
    streams = (BANNER_STATISTICS, AD_PLAN_STATISTICS, AD_PLANS, AD_GROUPS, BANNERS)
    base_url = "https://ads.vk.com"
    Settings = VkSettings
    Secrets = ("extra.client_secret",)
    if_refused = HOW_TO_RENEW
    connection_help: ClassVar[Mapping[str, str]] = {
        "extra.client_id": "the client_id of the API key (ads.vk.com, Настройки, Доступ "
        "к API)",
        "extra.client_secret": "the client_secret of the same key",
    }
    # The account's own limits come in headers; this is the slowest seen.
    limits = Limits(
        requests_per_second=2, burst=4, retry_after_most=3600, wait_budget=7200
    )
    settings: VkSettings

    @classmethod
    def token_request(
        cls, account: Account, connection: ConnectionInfo, refresh_token: str | None
    ) -> TokenRequest:
        """A refresh of the token that is kept, else one of the five a key may have.

        With `extra.refresh_token` (the consent of another user) no other account's
        token is ever taken instead.
        """
        key = {
            "client_id": connection.get("extra.client_id"),
            "client_secret": connection.get("extra.client_secret"),
        }
        client = account.settings.get("agency_client_name")
        grant = "agency_client_credentials" if client else "client_credentials"
        first = {"grant_type": grant, **key}
        if client:
            first["agency_client_name"] = str(client)
        consent = connection.get("extra.refresh_token")
        kept = refresh_token or consent
        if not kept:
            return TokenRequest(TOKEN_URL, form=first)
        renewed = {"grant_type": "refresh_token", "refresh_token": kept, **key}
        otherwise = None if consent else TokenRequest(TOKEN_URL, form=first)
        return TokenRequest(TOKEN_URL, form=renewed, otherwise=otherwise)

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """VK's own errors, in both of their shapes, and its limits."""
        if answer.status == 429:
            return too_many(answer)
        error = ApiError.of(answer.json_or_none()) if answer.body else None
        return error.as_error(answer.label, answer.status) if error else None

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Statistics proved by their totals; lists read to their count.

        Raises RetriableError when an answer does not add up, else FatalError.
        """
        del cursor
        if window is None:
            names = [field.name for field in stream.fields]
            for items in lists.read(self.client, stream.name, names):
                yield JsonBatch(objects(stream, items, f"vk_ads {stream.name}"))
            return
        yield from self._figures(stream, window)

    def control_total(self, stream: Stream, window: Window) -> Decimal | None:
        """Spend of the window by campaigns, to hold the statistics by ads to.

        In the account's currency; None for other streams. May raise ParseError.
        """
        if stream.name != BANNER_STATISTICS.name:
            return None
        batches = self._figures(AD_PLAN_STATISTICS, window)
        rows = (row for batch in batches for row in batch.records)
        try:
            return sum((Decimal(str(row["spent"])) for row in rows), Decimal(0))
        except (InvalidOperation, ValueError) as error:
            raise ParseError(f"spend by campaigns does not add up: {error}") from error

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """A recorded answer as records; a recorded error raises what it means."""
        content, what = from_json(body), f"{self.account}: {stream.name}"
        if (error := ApiError.of(content)) is not None:
            said = f"{what}: VK Ads error {error.code} ({error.message})"
            raise error.as_error(what) or TokenExpired(said)
        if stream.kind == "window":
            return figures.records(stream, content, what)
        return objects(stream, list(lists.page(content, what).items), what)

    def check(self) -> list[str]:
        """Ask for one campaign."""
        asked = {"fields": "id,name", "limit": 1, "offset": 0}
        found = lists.page(
            self.client.get("api/v2/ad_plans.json", asked).json(), "check"
        )
        seen = (
            f"campaign {found.items[0].get('name')!r}"
            if found.items
            else "no campaigns"
        )
        return [f"VK Ads answers: {seen}, {found.total} in all"]

    def _figures(self, stream: Stream, window: Window) -> Iterator[JsonBatch]:
        kind = OF_WHAT[stream.name]
        pages = lists.read(self.client, kind, ["id"])
        ids = [item["id"] for items in pages for item in objects(AD_PLANS, items, kind)]
        yield from figures.read(self.client, stream, kind, ids, window)
