"""The table a marketer asks for first: what each channel cost and what it brought."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from pipeline.errors import PipelineError
from pipeline.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from rich.table import Table

MODEL = "last_non_direct"
BASIS = "by_payment"
SUMS = (
    "cost", "leads", "sales", "new_customers", "revenue", "margin",
    "sales_without_margin",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One channel. Money in roubles without VAT; counts may be fractions of a credit.

    Ratios are ratios of sums and None when there is nothing to divide by: CPL =
    cost / leads, CAC = cost / new customers, ROMI = (margin - cost) / cost, ДРР =
    cost / revenue, both as shares (0.25 = 25 %). Margin and ROMI are None while the
    margin of a sale is unknown.
    """

    channel: str
    cost: Decimal
    leads: Decimal
    cpl: Decimal | None
    sales: Decimal
    cac: Decimal | None
    revenue: Decimal
    margin: Decimal | None
    romi: Decimal | None
    drr: Decimal | None


@dataclass(frozen=True)
class Summary:
    """Lines by falling revenue, their total, and what they speak of."""

    date_from: date | None
    date_to: date | None
    lines: list[Line]
    total: Line

    def as_json(self) -> dict[str, Any]:
        """Plain values: numbers as text with all their digits, dates as ISO text."""

        def plain(value: Any) -> Any:
            if isinstance(value, Decimal):
                return format(value, "f")  # never 0E+5
            return value if value is None or isinstance(value, str) else str(value)

        return {
            "attribution_model": MODEL,
            "date_basis": BASIS,
            "date_from": plain(self.date_from),
            "date_to": plain(self.date_to),
            "channels": [
                {name: plain(value) for name, value in asdict(line).items()}
                for line in self.lines
            ],
            "total": {name: plain(value) for name, value in asdict(self.total).items()},
        }


def summary(date_from: date | None = None, date_to: date | None = None) -> Summary:
    """Channels from marts.performance_daily as role bi, for [date_from, date_to).

    Raises PipelineError when nothing was published yet.
    """
    with connect("bi") as connection:
        cursor = connection.cursor(row_factory=dict_row)
        known = cursor.execute(
            "select to_regclass('marts.performance_daily') is not null as there"
        ).fetchone()
        if not known or not known["there"]:
            raise PipelineError("nothing is published yet: run the line first")
        rows = cursor.execute(
            """
            select
                coalesce(channel_name, channel) as channel,
                min(date) as first_date,
                max(date) as last_date,
                coalesce(sum(cost_amount), 0) as cost,
                coalesce(sum(leads), 0) as leads,
                coalesce(sum(sales), 0) as sales,
                coalesce(sum(new_customers), 0) as new_customers,
                coalesce(sum(revenue), 0) as revenue,
                coalesce(sum(margin), 0) as margin,
                coalesce(sum(sales_without_margin), 0) as sales_without_margin
            from marts.performance_daily
            where
                attribution_model = %(model)s
                and date_basis = %(basis)s
                and date >= coalesce(%(date_from)s::date, '-infinity')
                and date < coalesce(%(date_to)s::date, 'infinity')
            group by coalesce(channel_name, channel)
            order by revenue desc, cost desc, channel
            """,
            {
                "model": MODEL, "basis": BASIS,
                "date_from": date_from, "date_to": date_to,
            },
        ).fetchall()  # fmt: skip
    total = {name: sum((row[name] for row in rows), Decimal(0)) for name in SUMS}
    return Summary(
        date_from or min((row["first_date"] for row in rows), default=None),
        date_to or max((row["last_date"] for row in rows), default=None),
        [_line(str(row["channel"]), row) for row in rows],
        _line("Итого", total),
    )


def _line(channel: str, sums: dict[str, Any]) -> Line:
    cost, revenue = sums["cost"], sums["revenue"]
    margin = None if sums["sales_without_margin"] > 0 else sums["margin"]
    return Line(
        channel=channel,
        cost=cost,
        leads=sums["leads"],
        cpl=_ratio(cost, sums["leads"]) if cost else None,
        sales=sums["sales"],
        cac=_ratio(cost, sums["new_customers"]) if cost else None,
        revenue=revenue,
        margin=margin,
        romi=None if margin is None else _ratio(margin - cost, cost),
        drr=_ratio(cost, revenue),
    )


def _ratio(above: Decimal, below: Decimal) -> Decimal | None:
    return above / below if below else None


def as_table(result: Summary) -> Table:
    """The summary for a terminal."""
    from rich import box
    from rich.table import Table

    shown = Table(
        title=f"Каналы, {result.date_from} … {result.date_to}",
        caption=f"модель {MODEL}, по дате {BASIS}, ₽ без НДС",
        show_footer=True,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    titles = (
        "Канал", "Расход", "Лиды", "CPL", "Продажи", "CAC", "Выручка", "Маржа",
        "ROMI", "ДРР",
    )  # fmt: skip
    for title, foot in zip(titles, _cells(result.total), strict=True):
        shown.add_column(
            title, footer=foot, justify="left" if title == "Канал" else "right",
            no_wrap=title != "Канал",
        )  # fmt: skip
    for line in result.lines:
        if not (line.cost or line.leads or line.sales or line.revenue):
            continue  # visits only: nothing that this table counts
        shown.add_row(*_cells(line))
    return shown


def _cells(line: Line) -> Sequence[str]:
    return (
        line.channel, _money(line.cost), _count(line.leads), _money(line.cpl),
        _count(line.sales), _money(line.cac), _money(line.revenue),
        _money(line.margin), _share(line.romi), _share(line.drr),
    )  # fmt: skip


def _money(value: Decimal | None) -> str:
    return "—" if value is None else f"{value:,.0f}".replace(",", "\u00a0")


def _count(value: Decimal) -> str:
    whole = value == value.to_integral_value()
    return (f"{value:,.0f}" if whole else f"{value:,.1f}").replace(",", "\u00a0")


def _share(value: Decimal | None) -> str:
    return "—" if value is None else f"{value * 100:,.1f} %".replace(",", "\u00a0")
