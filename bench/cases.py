"""The three answers that landing is measured on, read by the real connectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bench.bodies import DAYS, FIRST_DAY
from connectors.base import registry
from connectors.base.connection import ConnectionInfo
from connectors.base.sources import Account
from connectors.base.stream import Window

if TYPE_CHECKING:
    from connectors.base.connector import Connector
    from connectors.base.stream import Stream

ZONE = "Europe/Moscow"
WINDOW = Window(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS), ZONE)


@dataclass(frozen=True)
class Case:
    """A stream of a source, its goals (records a second) and its share of --rows."""

    title: str
    source: str
    stream: str
    settings: dict[str, int]
    share: float
    goal_first: int
    goal_same: int | None
    times_dlt: float | None
    dlt_share: float


CASES = {
    "report": Case(
        "12-column TSV report", "yandex_direct", "keyword_performance", {}, 1.0,
        100_000, 150_000, 3, 0.3,
    ),
    "visits": Case(
        "34-column log of visits", "yandex_metrica", "visits", {"counter_id": 50001},
        0.3, 50_000, None, None, 0.1,
    ),
    "calls": Case(
        "JSON pages of 2 KB calls", "calltouch", "calls", {"site_id": 50001}, 0.1,
        22_000, None, 5, 0.02,
    ),
}  # fmt: skip


def account(case: Case) -> Account:
    """The account the case lands into."""
    return Account(
        source=case.source,
        account="main",
        time_zone=ZONE,
        currency_code="RUB",
        vat_included=False,
        settings=case.settings,
    )


def connector(case: Case, base_url: str) -> tuple[Connector, Stream]:
    """The real connector with the real client, without the vendor's rate limit."""
    cls = registry.connector_class(case.source)
    built = registry.build(
        account(case),
        ConnectionInfo(
            conn_id="bench",
            base_url=base_url,
            login="1",
            password="bench-token",  # noqa: S106
        ),
        limits=replace(cls.limits, requests_per_second=None),
        sleep=lambda seconds: None,
    )
    return built, next(each for each in cls.streams if each.name == case.stream)
