"""Yandex Direct: daily costs by keyword, query, site and campaign, and the names."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

from connectors.base.client import Answer, Limits
from connectors.base.connector import Connector, Record, Stream, Window
from connectors.base.errors import ConnectorError, ParseError
from connectors.base.stream import fields
from connectors.yandex_direct import lists, reports
from connectors.yandex_direct.errors import HOW_TO_RENEW, ApiError, ReportTooBig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.batch import Batch

COST_KEY = (
    "Date",
    "CampaignId",
    "AdGroupId",
    "AdId",
    "CriterionId",
    "CriterionType",
    "AdNetworkType",
    "Device",
)
FIGURES = ("Impressions", "Clicks", "Cost")
KEYWORD_PERFORMANCE = Stream(
    name="keyword_performance",
    kind="window",
    key=COST_KEY,
    fields=fields(*COST_KEY, "Criterion", *FIGURES),
    date_field="Date",
    amount_field="Cost",
    restate_days=30,
    required_fields=(*COST_KEY, "Cost"),
)
CAMPAIGN_PERFORMANCE = Stream(
    name="campaign_performance",
    kind="window",
    key=("Date", "CampaignId"),
    fields=fields("Date", "CampaignId", "CampaignName", "CampaignType", *FIGURES),
    date_field="Date",
    amount_field="Cost",
    restate_days=30,
    required_fields=("Date", "CampaignId", "Cost"),
)
QUERY_KEY = (
    "Date",
    "CampaignId",
    "AdGroupId",
    "AdId",
    "CriterionId",
    "CriterionType",
    "MatchType",
    "Query",
)
SEARCH_QUERIES = Stream(
    name="search_queries",
    kind="window",
    key=QUERY_KEY,
    fields=fields(*QUERY_KEY[:-1], "Criterion", *FIGURES, text=("Query",)),
    date_field="Date",
    amount_field="Cost",
    restate_days=14,
    history_days=179,  # queries are kept for 180 days, today among them
    required_fields=(*QUERY_KEY, "Cost"),
)
PLACEMENT_KEY = (
    "Date",
    "CampaignId",
    "AdGroupId",
    "AdId",
    "Placement",
    "AdNetworkType",
    "Device",
)
PLACEMENTS = Stream(
    name="placements",
    kind="window",
    key=PLACEMENT_KEY,
    fields=fields(*PLACEMENT_KEY, *FIGURES),
    date_field="Date",
    amount_field="Cost",
    restate_days=14,
    required_fields=(*PLACEMENT_KEY, "Cost"),
)


def _objects(name: str, names: str) -> Stream:
    """A snapshot of what a get service lists."""
    declared = fields(*names.split())
    return Stream(name, "snapshot", ("Id",), declared, required_fields=("Id",))


CAMPAIGNS = _objects(
    "campaigns", "Id Name Type State Status StartDate EndDate Currency TimeZone"
)
AD_GROUPS = _objects("ad_groups", "Id CampaignId Name Type Status TrackingParams")
ADS = _objects("ads", "Id CampaignId AdGroupId State Status Type TextAd")
KEYWORDS = _objects("keywords", "Id AdGroupId CampaignId Keyword State Status")


class DirectSettings(BaseModel):
    """`client_login`: whose account to read; an agency's token needs it."""

    model_config = ConfigDict(extra="forbid")
    client_login: str | None = None


class YandexDirect(Connector):
    """Statistics by day from the Reports service, names from the get services.

    Money comes in the account's currency with two decimals, with VAT or without it as
    `vat_included` of the account says. Days are those of Moscow. Costs are corrected
    for some days, seldom for weeks, so each read takes the last 30 days along (14 of
    queries and sites, which nothing is added up from).
    """

    name = "yandex_direct"
    role = "ads"
    streams = (
        KEYWORD_PERFORMANCE,
        CAMPAIGN_PERFORMANCE,
        SEARCH_QUERIES,
        PLACEMENTS,
        CAMPAIGNS,
        AD_GROUPS,
        ADS,
        KEYWORDS,
    )
    base_url = "https://api.direct.yandex.com"
    Settings = DirectSettings
    if_refused = HOW_TO_RENEW
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the OAuth token of Yandex ID for the Direct API"
    }
    # 20 reports in any 10 s (burst + 10 s of rate), 5 requests at a time.
    limits = Limits(requests_per_second=1, burst=10, max_concurrent=5)
    settings: DirectSettings

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """Direct's own errors (under HTTP 200, 400, 500), and a report too big (502)."""
        if answer.status == 502 and answer.label.endswith(reports.PATH):
            return ReportTooBig(f"{answer.label}: 502, the report is too big")
        error = ApiError.in_json(answer.json_or_none()) if answer.body else None
        if error is None or (error.code == 0 and answer.status >= 500):
            return None
        return error.as_error(answer.label)

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Whole reports proved by their summary; whole lists paged to their end.

        Raises RetriableError for a report that stays cut, else ParseError, FatalError.
        """
        del cursor
        if window is not None:
            yield from self._reports.read(stream, window)
        elif stream.name == "campaigns":
            yield from lists.read(self.client, stream, self._headers, {})
        else:
            listed = lists.read(self.client, CAMPAIGNS, self._headers, {}, ["Id"])
            ids = [campaign["Id"] for batch in listed for campaign in batch.records]
            for start in range(0, len(ids), lists.CAMPAIGNS_A_CALL):
                some = {"CampaignIds": ids[start : start + lists.CAMPAIGNS_A_CALL]}
                yield from lists.read(self.client, stream, self._headers, some)

    def control_total(self, stream: Stream, window: Window) -> Decimal | None:
        """Cost of the window by the campaign report, to hold the keyword report to.

        With VAT as the rows have it; None for other streams. May raise ParseError.
        """
        if stream.name != KEYWORD_PERFORMANCE.name:
            return None
        costs = (
            record["Cost"]
            for batch in self._reports.read(CAMPAIGN_PERFORMANCE, window)
            for record in batch.records()
        )
        try:
            return sum((Decimal(cost) for cost in costs if cost != "--"), Decimal(0))
        except (InvalidOperation, ValueError) as error:
            raise ParseError(f"the campaign report does not add up: {error}") from error

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """A recorded report or list as records; a recorded error raises what it means."""
        if stream.kind == "window":
            return reports.records(stream, body)
        if (error := ApiError.in_body(body)) is not None:
            raise error.as_error(f"{self.account}: {stream.name}")
        answer = Answer(200, headers, body, label=f"{self.name} {stream.name}")
        return list(lists.page(stream, answer.json()).items)

    def check(self) -> list[str]:
        """Ask for one campaign."""
        asked = lists.request(CAMPAIGNS, {}, limit=1, names=["Id", "Name"])
        answer = self.client.post("json/v501/campaigns", asked, headers=self._headers)
        found = lists.page(CAMPAIGNS, answer.json()).items
        seen = f"campaign {found[0].get('Name')!r}" if found else "no campaigns yet"
        return [
            f"Yandex Direct answers for {self.settings.client_login or 'the own login'}: "
            f"{seen}; points spent/left/daily {answer.headers.get('Units', 'unknown')}"
        ]

    @property
    def _headers(self) -> dict[str, str]:
        login = self.settings.client_login
        return {"Accept-Language": "en", **({"Client-Login": login} if login else {})}

    @property
    def _reports(self) -> reports.Reports:
        login = self.settings.client_login or self.account.account
        with_vat = self.account.vat_included
        return reports.Reports(self.client, self._headers, login, with_vat)
