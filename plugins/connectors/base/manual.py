"""Rows that people type, on their way to landing: an id for each, and what is refused.

Shared by the sheets and the files: both hold tables, and both must go on when a row
cannot be read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import orjson

from connectors.base import settings
from connectors.base.batch import JsonBatch, Refused
from connectors.base.cells import shown
from connectors.base.redaction import excerpt
from connectors.base.tables import Column, Wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from connectors.base.batch import Record
    from connectors.base.tables import Row, Table

LONGEST_PERIOD = 1100  # days: three years and some

COST_COLUMNS = (
    Column(
        "date_from",
        "Дата с",
        "day",
        required=True,
        aliases=(
            "Дата", "Дата начала", "Начало", "Начало периода", "Период с", "Период",
            "С", "date_from", "period_start", "date",
        ),
        help="Первый день, за который заплачено: 01.05.2026",
    ),
    Column(
        "date_to",
        "Дата по",
        "day",
        aliases=(
            "Дата окончания", "Дата конца", "Окончание", "Конец", "Конец периода",
            "Период по", "По", "date_to", "period_end",
        ),
        help="Последний день, включительно. Пусто: тот же день, что «Дата с»",
    ),
    Column(
        "source",
        "Источник",
        required=True,
        aliases=("Площадка", "Канал", "source", "utm_source"),
        help="Где размещались: Радио, Авито, Листовки",
    ),
    Column(
        "medium",
        "Тип",
        aliases=("Тип рекламы", "Тип размещения", "medium", "utm_medium"),
        help="Вид рекламы: offline, classified, cpc. Можно не заполнять",
    ),
    Column(
        "campaign",
        "Кампания",
        aliases=("Размещение", "Название", "campaign", "utm_campaign"),
        help="Название размещения. Можно не заполнять",
    ),
    Column(
        "amount",
        "Сумма",
        "money",
        required=True,
        aliases=(
            "Сумма руб", "Расход", "Расход руб", "Расходы", "Затраты", "Стоимость",
            "Бюджет", "amount", "cost", "spend",
        ),
        help="Сумма за весь период: 15000,50. По дням её разделит программа",
    ),
    Column(
        "currency_code",
        "Валюта",
        "currency",
        aliases=("currency", "currency_code"),
        help="RUB, USD … Пусто: валюта из настроек",
    ),
    Column(
        "vat_included",
        "С НДС",
        "flag",
        aliases=("НДС включен", "НДС", "vat_included"),
        help="да или нет. Пусто: как в настройках",
    ),
    Column(
        "impressions",
        "Показы",
        "whole",
        aliases=("impressions",),
        help="Сколько раз показали, если известно",
    ),
    Column(
        "clicks",
        "Клики",
        "whole",
        aliases=("Переходы", "clicks"),
        help="Сколько было переходов, если известно",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How the rows of a stream are read.

    `id_field` names the row. When people give no id, or the stream has no column for
    one, it is made of the `stable` fields, and of the how-manieth such row it is.
    `complete` fills in what follows from other cells; it may raise Unfit.
    """

    columns: tuple[Column, ...]
    id_field: str
    stable: tuple[str, ...]
    complete: Callable[[Record], None] | None = None

    def title(self, name: str) -> str:
        """What people write above a column."""
        return next(each.title for each in self.columns if each.name == name)


class Unfit(ValueError):
    """Cells of a row that are readable but do not go together."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(reason)
        self.field_name = field_name


def complete_cost(record: Record) -> None:
    """A cost without a last day is of one day; a period must not run backwards."""
    record["date_to"] = record["date_to"] or record["date_from"]
    days = (
        date.fromisoformat(record["date_to"]) - date.fromisoformat(record["date_from"])
    ).days
    if days < 0:
        raise Unfit("date_to", "is earlier than the first day")
    if days >= LONGEST_PERIOD:
        raise Unfit("date_to", "is more than three years after the first day")


COSTS = Plan(
    columns=COST_COLUMNS,
    id_field="cost_id",
    # not the amount: a corrected amount is the same cost
    stable=("date_from", "date_to", "source", "medium", "campaign"),
    complete=complete_cost,
)


@dataclass
class Ids:
    """The ids given so far, over all tables of a stream.

    `later_wins`: tables are read the latest first, and a row whose id a later one has
    is left out. Else such a row is refused.
    """

    later_wins: bool = True
    seen: dict[str, bytes] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)

    def make(self, values: Sequence[object]) -> str:
        """An id for a row without one: equal values are told apart by their order.

        It is an HMAC under the key of the tokens, because the values may be a phone
        and a name, and a plain hash of them can be guessed.
        """
        _, key = settings.token_key()
        digest = hmac.digest(key, orjson.dumps(["row", *values]), hashlib.sha256)
        name = base64.b32encode(digest[:10]).decode().lower()
        self.made[name] += 1
        number = self.made[name]
        return f"row-{name}" if number == 1 else f"row-{name}-{number}"


@dataclass
class Reading:
    """What a table gave, or several of one file.

    `again` counts rows that a later table holds otherwise, `totals` lines of sums that
    were left out, `unknown` are columns nobody asked for, `here` says where each id is.
    """

    records: list[Record] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    again: int = 0
    totals: int = 0
    unknown: set[str] = field(default_factory=set)
    here: dict[str, str] = field(default_factory=dict)

    def add(self, other: Reading) -> None:
        """Take over what another table of the file gave (they share `here`)."""
        self.records += other.records
        self.refused += other.refused
        self.wrong += other.wrong
        self.again += other.again
        self.totals += other.totals
        self.unknown |= other.unknown

    def batch(self, *warnings: str) -> JsonBatch:
        """For landing. When most rows are refused nothing may be taken for gone."""
        refused = self.refused
        if len(refused) > len(self.records):
            refused = [Refused(each.reason, each.payload) for each in refused]
        return JsonBatch(self.records, warnings, tuple(refused))


def refusal(where: str, reason: str, key: str | None = None) -> Refused:
    """A whole table that cannot be read; without a key, what it held before stays."""
    payload = orjson.dumps({"table": where})
    return Refused(harmless(f"{where} {reason}"), payload, key)


def harmless(text: str) -> str:
    """A reason as it may stand in ops: names people gave may hold a phone."""
    return excerpt(text.encode(), 500)


def read(
    table: Table,
    lines: Iterable[tuple[int, Sequence[object]]],
    plan: Plan,
    ids: Ids,
    where: str,
    here: dict[str, str] | None = None,
) -> Reading:
    """The rows of a table as records and refusals.

    `where` names the table in reasons; `here` are the ids of the file's other tables.
    Raises HeaderError.
    """
    reading = Reading()
    here = reading.here if here is None else here
    for row in table.rows(lines):
        wrong = list(row.wrong)
        record = row.record
        given = record.get(plan.id_field)
        if not wrong:
            try:
                if plan.complete is not None:
                    plan.complete(record)
            except Unfit as error:
                title = plan.title(error.field_name)
                typed = shown(record.get(error.field_name))
                wrong.append(Wrong(row.line, title, str(error), typed))
        if given and given in here:
            title = plan.title(plan.id_field)
            reason = f"stands already in {here[given]}"
            wrong.append(Wrong(row.line, title, reason, str(given)))
            given = None  # the first one is good
        if given and not wrong:
            here[given] = f"line {row.line}"
            digest = hashlib.blake2b(orjson.dumps(record)).digest()
            known = ids.seen.setdefault(given, digest)
            if known is not digest and (known == digest or ids.later_wins):
                reading.again += known != digest
                continue
            if known is not digest:
                title = plan.title(plan.id_field)
                reason = "stands in another table, too, where its row is another"
                wrong.append(Wrong(row.line, title, reason, str(given)))
        if wrong:
            reading.wrong += wrong
            reading.refused.append(_refused(row, wrong, where, given))
            continue
        if not given:
            record[plan.id_field] = ids.make([record[name] for name in plan.stable])
        reading.records.append(record)
    reading.totals = table.totals
    reading.unknown = set(table.header.unknown) if table.header else set()
    return reading


def _refused(row: Row, wrong: list[Wrong], where: str, given: str | None) -> Refused:
    parts = [
        f'column "{each.column}": {each.reason}' if each.column else each.reason
        for each in wrong
    ]
    payload = orjson.dumps(
        {"table": where, "line": row.line, "cells": list(map(shown, row.cells))}
    )
    reason = harmless(f"{where}, line {row.line}: {'; '.join(parts)}")
    return Refused(reason, payload, given or f"{where}: {row.line}")
