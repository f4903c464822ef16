"""Google Ads: costs by day at every level, search terms, clicks, and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from connectors.base import google_token
from connectors.base.connector import Auth, Connector, Limits, Record, Stream, Window
from connectors.google_ads import errors, search
from connectors.google_ads.streams import AD_PERFORMANCE, CAMPAIGN_PERFORMANCE, STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from connectors.base.batch import Batch
    from connectors.base.client import Answer
    from connectors.base.connection import ConnectionInfo
    from connectors.base.errors import ConnectorError
    from connectors.base.oauth import TokenRequest
    from connectors.base.sources import Account

SCOPE = "https://www.googleapis.com/auth/adwords"
Id = Annotated[str, StringConstraints(pattern=r"^\d{5,15}$", strip_whitespace=True)]


class GoogleAdsSettings(BaseModel):
    """Whose figures to read, and by which version of the API (README.md).

    `customer_id`: the account, digits only; `login_customer_id`: the manager account
    that gives access to it, if one does.
    """

    model_config = ConfigDict(extra="forbid")
    customer_id: Id
    login_customer_id: Id | None = None
    api_version: Annotated[str, StringConstraints(pattern=r"^v\d+$")] = "v25"


class GoogleAds(Connector):
    """Reads reports in GAQL, each proved by the vendor's own summary or count.

    Days are those of the account, money its currency without VAT. Clicks and costs are
    corrected for some days, seldom for weeks: each read takes 30 days along.
    """

    name = "google_ads"
    role = "ads"
    streams = STREAMS
    base_url = "https://googleads.googleapis.com"
    Settings = GoogleAdsSettings
    Secrets = ("password", "extra.developer_token")
    if_refused = errors.HOW_TO_RENEW
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the refresh token of a Google user who sees the account, or the "
        "whole key file of a service account on one line",
        **google_token.CLIENT_HELP,
        "extra.developer_token": "the manager account's developer token (API Center)",
    }
    limits = Limits(
        requests_per_second=10, burst=10, retry_after_most=900, wait_budget=1800
    )
    settings: GoogleAdsSettings
    _is_checked = False  # are zone and currency those of sources.yml?

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
    def auth_with(
        cls, account: Account, connection: ConnectionInfo, access_token: str
    ) -> Auth:
        """The access token and the developer token go with each request."""
        del account
        developer_token = connection.get("extra.developer_token")
        bearer = {"Authorization": f"Bearer {access_token}"}
        return Auth(headers={**bearer, "developer-token": developer_token})

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """Google's errors, also those that come after rows under HTTP 200."""
        return errors.in_answer(answer)

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Whole reports of some days at a time, whole lists by pages.

        Raises RetriableError when an answer is not proved to be whole, ConfigError for
        another zone or currency than the account's, else ParseError, FatalError.
        """
        del cursor
        if not self._is_checked:
            self._search.check_account(self.account)
            self._is_checked = True
        if window is None:
            yield from self._search.listed(stream)
        else:
            yield from self._search.report(stream, window)

    def control_total(self, stream: Stream, window: Window) -> Decimal | None:
        """Cost of the window by a report above this one: of the account for campaigns,
        of campaigns that have ads for ads; None for other streams."""
        above = {CAMPAIGN_PERFORMANCE: "customer", AD_PERFORMANCE: "campaign"}
        resource = above.get(stream)
        return self._search.total(resource, window) if resource else None

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """A recorded stream or page as records; a recorded error raises what it means."""
        del headers
        return search.parsed(stream, body, f"{self.account}: {stream.name}")

    def check(self) -> list[str]:
        """Ask for the account's name, zone and currency."""
        return [self._search.check_account(self.account)]

    @property
    def _search(self) -> search.Search:
        login = self.settings.login_customer_id
        headers = {"login-customer-id": login} if login else {}
        path = f"{self.settings.api_version}/customers/{self.settings.customer_id}"
        return search.Search(self.client, path, headers)
