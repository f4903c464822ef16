"""What a call centre's sheet of requests may hold, and how an account says where."""

from __future__ import annotations

import dataclasses
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.base import manual
from connectors.base.manual import Plan, Unfit
from connectors.base.stream import Stream, fields
from connectors.base.tables import Column

LEAD_COLUMNS = (
    Column("created_at", "Дата", "moment", required=True,
           aliases=("Дата заявки", "Дата обращения", "Дата и время", "Время")),
    Column("phone", "Телефон", "phone",
           aliases=("Номер телефона", "Телефон клиента", "Контакт")),
    Column("email", "E-mail", aliases=("Email", "Почта", "Эл. почта")),
    Column("name", "Имя", aliases=("ФИО", "Клиент", "Имя клиента")),
    Column("status", "Статус", aliases=("Результат", "Итог звонка")),
    Column("interest", "Марка", aliases=("Интерес", "Автомобиль", "Модель", "Товар")),
    Column("source", "Источник", aliases=("Откуда", "Откуда узнали", "Канал")),
    Column("medium", "Тип источника", aliases=("Тип",)),
    Column("manager", "Менеджер", aliases=("Оператор", "Ответственный")),
    Column("comment", "Комментарий", aliases=("Примечание", "Комментарии")),
)  # fmt: skip


def _needs_a_contact(lead: dict[str, object]) -> None:
    """A request of nobody is no request."""
    if not any(lead[name] for name in ("phone", "email", "name")):
        raise Unfit("phone", "is empty, and so are the e-mail and the name")


LEAD_PLAN = Plan(
    columns=LEAD_COLUMNS,
    id_field="lead_id",
    # not the status and the comment, which change while people work
    stable=("created_at", "phone", "email", "name"),
    complete=_needs_a_contact,
)
PLANS = {"leads": LEAD_PLAN, "costs": manual.COSTS}

LEADS = Stream(
    name="leads",
    kind="snapshot",
    key=("lead_id",),
    fields=fields(
        "created_at",
        "sheet",
        ids=("lead_id",),
        phone=("phone",),
        email=("email",),
        name=("name",),
        text=("status", "interest", "source", "medium", "manager", "comment"),
    ),
    date_field="created_at",
    required_fields=("created_at",),
    by_people=True,
)
COSTS = Stream(
    name="costs",
    kind="snapshot",
    key=("cost_id",),
    fields=fields(
        "date_from",
        "date_to",
        "amount",
        "currency_code",
        "vat_included",
        "impressions",
        "clicks",
        "sheet",
        ids=("cost_id",),
        text=("source", "medium", "campaign"),
    ),
    date_field="date_from",
    amount_field="amount",
    required_fields=("date_from", "source", "amount"),
    by_people=True,
)


class Sheet(BaseModel):
    """One table of the spreadsheet.

    `range` is in A1 notation, with the sheet's name. `columns` says what people call
    our columns there (default: the titles of README.md); `key` names the column that
    numbers the rows for good. `fill_down`: columns whose cells are merged downwards. A
    column nobody named goes to pii.sealed with a warning, but for those in `ignore`.
    """

    model_config = ConfigDict(extra="forbid")

    stream: Literal["leads", "costs"]
    range: str = Field(min_length=1)
    spreadsheet_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{5,}$")
    columns: dict[str, str] = Field(default_factory=dict)
    key: str | None = None
    fill_down: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known_columns(self) -> Sheet:
        known = {column.name for column in PLANS[self.stream].columns}
        for name in (*self.columns, *self.fill_down):
            if name not in known:
                raise ValueError(
                    f"{name!r} is no column of {self.stream}, write one of: "
                    f"{', '.join(sorted(known))}"
                )
        if self.columns:
            for column in PLANS[self.stream].columns:
                if column.required and column.name not in self.columns:
                    raise ValueError(
                        f"columns lacks {column.name}: say what it is called in the sheet"
                    )
        return self

    @property
    def plan(self) -> Plan:
        """The stream's plan with the titles of this sheet.

        Once an account maps columns, only those are read, and each must be there.
        """
        plan = PLANS[self.stream]
        columns = plan.columns
        if self.columns:
            columns = tuple(
                dataclasses.replace(
                    each,
                    title=self.columns.get(each.name, ""),
                    aliases=(),
                    expected=each.name in self.columns,
                )
                for each in columns
            )
        if self.key:
            key = Column(plan.id_field, self.key, "id", required=True)
            columns = (key, *columns)
        return dataclasses.replace(plan, columns=columns)


class SheetsSettings(BaseModel):
    """`spreadsheet_id` is in the spreadsheet's address, between /d/ and /edit."""

    model_config = ConfigDict(extra="forbid")

    spreadsheet_id: str = Field(pattern=r"^[A-Za-z0-9_-]{5,}$")
    sheets: tuple[Sheet, ...] = Field(min_length=1)

    @field_validator("sheets")
    @classmethod
    def _each_once(cls, sheets: tuple[Sheet, ...]) -> tuple[Sheet, ...]:
        seen = {(each.stream, each.range, each.spreadsheet_id) for each in sheets}
        if len(seen) < len(sheets):
            raise ValueError("a range stands here twice")
        return sheets
