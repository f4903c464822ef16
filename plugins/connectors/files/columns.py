"""What the files hold: the columns of each kind, and the streams they become."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from connectors.base.manual import COSTS, Plan, Unfit
from connectors.base.stream import Stream, fields
from connectors.base.tables import Column

if TYPE_CHECKING:
    from connectors.base.batch import Record

# as the var number_lease_days of dbt_project.yml: so far back calls are rated again
LONGEST_LEASE = timedelta(days=31)

_CURRENCY = Column("currency_code", "Валюта", "currency",
                   aliases=("currency", "currency_code"),
                   help="RUB, USD … Пусто: валюта из настроек")  # fmt: skip
_PHONE = Column("phone", "Телефон", "phone",
                aliases=("Телефоны", "Мобильный телефон", "Рабочий телефон", "phone"),
                help="Можно несколько: через запятую или с новой строки")  # fmt: skip
_EMAIL = Column("email", "E-mail",
                aliases=("Email", "Почта", "Рабочий email", "Личный email"),
                help="Можно не заполнять")  # fmt: skip
_NAME = Column("name", "Клиент", aliases=("ФИО", "Имя", "Полное имя контакта", "name"),
               help="Имя, фамилия")  # fmt: skip
_CLIENT_ID = Column("ym_client_id", "ClientID Метрики", "id",
                    aliases=("_ym_uid", "ym_client_id", "client_id"),
                    help="Как текст: в числе теряются последние цифры")  # fmt: skip
_UTM = tuple(
    Column(f"utm_{each}", f"utm_{each}", help="Метка, если сохранилась")
    for each in ("source", "medium", "campaign", "content", "term")
)

DEAL_COLUMNS = (
    Column("deal_id", "Номер сделки", "id", required=True,
           aliases=("ID", "ID сделки", "Сделка", "Номер договора", "deal_id"),
           help="Номер, который не меняется; по нему находят и оплаты"),
    Column("created_at", "Дата создания", "moment", required=True,
           aliases=("Создана", "Дата создания сделки", "Дата", "created_at"),
           help="31.12.2026 или 31.12.2026 14:30"),
    Column("closed_at", "Дата закрытия", "moment",
           aliases=("Закрыта", "closed_at"),
           help="Пусто, пока сделка открыта"),
    Column("status", "Статус", required=True,
           aliases=("Этап", "Этап сделки", "Стадия", "status"),
           help="Как у вас принято: «В работе», «Выдан», «Отказ»"),
    Column("amount", "Сумма", "money",
           aliases=("Бюджет", "Сумма сделки", "Сумма руб", "Выручка", "amount",
                    "revenue"),
           help="Сумма сделки: 1250000,00"),
    Column("margin", "Маржа", "money", aliases=("Прибыль", "margin", "profit"),
           help="Сумма минус себестоимость, если известна"),
    Column("refund_amount", "Сумма возврата", "money",
           aliases=("Возврат", "refund_amount"),
           help="Сколько вернули, числом без минуса"),
    Column("refund_date", "Дата возврата", "day", aliases=("refund_date",),
           help="Когда вернули"),
    _CURRENCY,
    Column("lead_id", "Номер заявки", "id", aliases=("ID заявки", "Заявка", "lead_id"),
           help="Номер заявки, из которой выросла сделка"),
    _PHONE,
    _EMAIL,
    _NAME,
    Column("interest", "Товар", aliases=("Марка", "Автомобиль", "Модель", "product"),
           help="Что покупают"),
    Column("source", "Источник", aliases=("Откуда", "Канал", "source"),
           help="Откуда клиент узнал о вас"),
    Column("manager", "Менеджер", aliases=("Ответственный", "manager"),
           help="Кто ведёт сделку"),
    _CLIENT_ID,
    *_UTM,
)  # fmt: skip

LEASE_COLUMNS = (
    Column("phone_number", "Номер", "phone", required=True,
           aliases=("Подменный номер", "Номер подмены", "Виртуальный номер",
                    "phone_number"),
           help="Ваш номер, который видел посетитель; не номер клиента"),
    _CLIENT_ID,
    Column("visitor_id", "Номер посетителя", "id",
           aliases=("ID посетителя", "Посетитель", "visitor_id"),
           help="Как в журнале звонков; нужен он или ClientID Метрики"),
    Column("shown_from", "Показан с", "moment", required=True,
           aliases=("Начало показа", "Показан", "shown_from"),
           help="31.12.2026 14:30:05"),
    Column("shown_to", "Показан по", "moment",
           aliases=("Конец показа", "shown_to"),
           help="Пусто, пока показан; без конца считаются сутки"),
)  # fmt: skip

PAYMENT_COLUMNS = (
    Column("payment_id", "Номер платежа", "id",
           aliases=("ID платежа", "Номер оплаты", "payment_id"),
           help="Если есть; без него одинаковые строки различаются по порядку"),
    Column("deal_id", "Номер сделки", "id", required=True,
           aliases=("ID сделки", "Сделка", "Номер договора", "deal_id"),
           help="Номер из файла сделок"),
    Column("paid_at", "Дата оплаты", "moment", required=True,
           aliases=("Оплачено", "Дата платежа", "Дата", "paid_at"),
           help="31.12.2026 или 31.12.2026 14:30"),
    Column("amount", "Сумма", "money", required=True,
           aliases=("Сумма оплаты", "Сумма платежа", "Сумма руб", "amount"),
           help="Сумма; возврат с минусом"),
    _CURRENCY,
    Column("method", "Способ", aliases=("Способ оплаты", "Вид оплаты", "method"),
           help="Наличные, карта, кредит"),
)  # fmt: skip

SALE_COLUMNS = (
    Column("sale_id", "Номер продажи", "id",
           aliases=("Номер чека", "ID продажи", "sale_id"),
           help="Если есть; без него одинаковые строки различаются по порядку"),
    Column("sold_at", "Дата продажи", "moment", required=True,
           aliases=("Продано", "Дата", "Дата и время", "sold_at"),
           help="31.12.2026 или 31.12.2026 14:30"),
    Column("amount", "Сумма", "money", required=True,
           aliases=("Сумма продажи", "Сумма чека", "Сумма руб", "Выручка", "amount"),
           help="Сколько заплатил покупатель"),
    Column("cost", "Себестоимость", "money", aliases=("Закупка", "cost"),
           help="Если известна"),
    _CURRENCY,
    _PHONE,
    _EMAIL,
    _NAME,
    Column("source", "Источник", aliases=("Откуда", "Откуда узнали", "source"),
           help="Что ответил покупатель на вопрос, откуда узнал"),
    Column("medium", "Тип", aliases=("Тип источника", "medium"),
           help="Можно не заполнять"),
)  # fmt: skip


def _refund_with_its_day(deal: Record) -> None:
    """Money that was given back was given back on some day."""
    if deal["refund_amount"] and not deal["refund_date"]:
        raise Unfit("refund_date", "is empty, and there is a sum given back")
    if deal["closed_at"] and deal["closed_at"] < deal["created_at"]:
        raise Unfit("closed_at", "is earlier than the day of its creation")


def _held_by_somebody(lease: Record) -> None:
    """Somebody saw a number of ours for a while. It is kept as call trackers write it:
    digits, with the country's first."""
    typed = lease["phone_number"]
    digits = re.sub(r"\D", "", typed) if isinstance(typed, str) else ""
    if len(digits) == 10:
        digits = f"7{digits}"
    elif len(digits) == 11 and digits[0] == "8":
        digits = f"7{digits[1:]}"
    if not 11 <= len(digits) <= 15:
        raise Unfit("phone_number", "is no number of 10 to 15 digits")
    lease["phone_number"] = digits
    if not (lease["ym_client_id"] or lease["visitor_id"]):
        raise Unfit("ym_client_id", "is empty, and no visitor's number is given")
    start, end = lease["shown_from"], lease["shown_to"]
    if end:
        held = datetime.fromisoformat(end) - datetime.fromisoformat(start)
        if held < timedelta(0):
            raise Unfit("shown_to", "is earlier than the beginning")
        if held > LONGEST_LEASE:
            raise Unfit("shown_to", "is more than 31 days after the beginning")


PLANS = {
    "costs": COSTS,
    "deals": Plan(
        DEAL_COLUMNS, "deal_id", stable=(), complete=_refund_with_its_day
    ),
    "number_leases": Plan(
        LEASE_COLUMNS,
        "lease_id",
        # not its end: a lease that went on or ended meanwhile is the same one
        stable=("phone_number", "ym_client_id", "visitor_id", "shown_from"),
        complete=_held_by_somebody,
    ),
    "offline_sales": Plan(
        SALE_COLUMNS, "sale_id", stable=("sold_at", "amount", "phone", "name")
    ),
    "payments": Plan(
        PAYMENT_COLUMNS, "payment_id", stable=("deal_id", "paid_at", "amount", "method")
    ),
}  # fmt: skip

_TEXT = {"source", "medium", "campaign", "status", "interest", "manager", "method"}


def _stream(name: str, date_field: str) -> Stream:
    """The stream of a kind of file: read whole each time, so that what went goes."""
    plan = PLANS[name]
    names = {each.name: each for each in plan.columns}
    contacts = {"phone": ("phone",), "email": ("email",), "name": ("name",)}
    given = {kind: each for kind, each in contacts.items() if kind in names}
    ids = {each.name for each in plan.columns if each.kind == "id"} | {plan.id_field}
    text = {each for each in names if each in _TEXT or each.startswith("utm_")}
    own = tuple(sorted(names.keys() & {"phone_number"}))
    plain = names.keys() - ids - text - given.keys() - set(own)
    return Stream(
        name=name,
        kind="snapshot",
        key=(plan.id_field,),
        fields=fields(
            *sorted(plain),
            ids=tuple(sorted(ids)),
            text=(*sorted(text), "file"),
            business_number=own,
            **given,
        ),
        date_field=date_field,
        amount_field="amount" if "amount" in names else None,
        required_fields=tuple(each.name for each in plan.columns if each.required),
        by_people=True,
    )


STREAMS = (
    _stream("costs", "date_from"),
    _stream("deals", "created_at"),
    _stream("number_leases", "shown_from"),
    _stream("offline_sales", "sold_at"),
    _stream("payments", "paid_at"),
)
