"""What a portal holds: objects, their histories and dictionaries, field by field.

Names as the REST documentation and live portals give them (README.md). All moments
come with an offset; a record's day is that of the account's zone.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from connectors.base.stream import Field, Stream, fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo


def _day_of(name: str) -> Callable[[Mapping[str, Any], ZoneInfo], date]:
    def day(record: Mapping[str, Any], zone: ZoneInfo) -> date:
        return datetime.fromisoformat(str(record[name])).astimezone(zone).date()

    return day


def _entity(
    name: str,
    *declared: Field,
    required: tuple[str, ...] = (),
    dated: str = "DATE_CREATE",
    amount: str | None = None,
    append_only: bool = False,
) -> Stream:
    """What has an ID; its day is that of the moment `dated`, in the account's zone."""
    return Stream(
        name=name,
        kind="entity",
        append_only=append_only,
        key=("ID",),
        fields=declared,
        date_field=dated,
        date_of=_day_of(dated),
        amount_field=amount,
        required_fields=("ID", *required, dated),
    )


def _snapshot(
    name: str, key: tuple[str, ...], required: str, *declared: Field
) -> Stream:
    """What is read whole each time; one field is required besides the key."""
    return Stream(name, "snapshot", key, declared, required_fields=(*key, required))


# fmt: off
UTM = ("UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")
PERSON = {"phone": ("PHONE",), "email": ("EMAIL",),
          "name": ("NAME", "LAST_NAME", "SECOND_NAME")}
LEADS = _entity("leads", *fields(
    "STATUS_ID", "STATUS_SEMANTIC_ID", "SOURCE_ID", "OPPORTUNITY", "CURRENCY_ID",
    "DATE_CREATE", "DATE_MODIFY", "DATE_CLOSED", "MOVED_TIME", "IS_RETURN_CUSTOMER",
    *UTM, ids=("ID", "CONTACT_ID", "ASSIGNED_BY_ID"), text=("TITLE", "COMMENTS"),
    **PERSON,
), required=("STATUS_ID",))
DEALS = _entity("deals", *fields(
    "STAGE_ID", "STAGE_SEMANTIC_ID", "OPPORTUNITY", "CURRENCY_ID", "CLOSEDATE",
    "CLOSED", "DATE_CREATE", "DATE_MODIFY", "MOVED_TIME", "SOURCE_ID",
    "IS_RETURN_CUSTOMER", *UTM,
    ids=("ID", "CATEGORY_ID", "LEAD_ID", "CONTACT_ID", "ASSIGNED_BY_ID"),
), required=("STAGE_ID", "OPPORTUNITY"), amount="OPPORTUNITY")
CONTACTS = _entity("contacts", *fields(
    "DATE_CREATE", "DATE_MODIFY", ids=("ID", "LEAD_ID", "ASSIGNED_BY_ID"), **PERSON,
))
DEAL_STAGE_HISTORY = _entity("deal_stage_history", *fields(
    "TYPE_ID", "CREATED_TIME", "STAGE_ID", "STAGE_SEMANTIC_ID",
    ids=("ID", "OWNER_ID", "CATEGORY_ID"),
), required=("OWNER_ID", "STAGE_ID"), dated="CREATED_TIME", append_only=True)
LEAD_STAGE_HISTORY = _entity("lead_stage_history", *fields(
    "TYPE_ID", "CREATED_TIME", "STATUS_ID", "STATUS_SEMANTIC_ID",
    ids=("ID", "OWNER_ID"),
), required=("OWNER_ID", "STATUS_ID"), dated="CREATED_TIME", append_only=True)
DEAL_CONTACTS = _snapshot("deal_contacts", ("DEAL_ID", "CONTACT_ID"), "IS_PRIMARY", *fields(
    "SORT", "IS_PRIMARY", ids=("DEAL_ID", "CONTACT_ID"),
))
DEAL_PRODUCTS = Stream("deal_products", "entity", ("DEAL_ID",), fields(
    "productRows", ids=("DEAL_ID",),
), required_fields=("DEAL_ID", "productRows"))
INVOICES = Stream("invoices", "entity", ("id",), fields(
    "accountNumber", "stageId", "opportunity", "currencyId", "begindate", "closedate",
    "createdTime", "updatedTime", "movedTime",
    ids=("id", "categoryId", "parentId2", "contactId", "assignedById"),
), date_field="createdTime", date_of=_day_of("createdTime"), amount_field="opportunity",
    required_fields=("id", "createdTime", "updatedTime", "stageId", "opportunity"))
STATUSES = _snapshot("statuses", ("ENTITY_ID", "STATUS_ID"), "NAME", *fields(
    "NAME", "NAME_INIT", "SORT", "SYSTEM", "COLOR", "SEMANTICS", "EXTRA",
    ids=("ID", "ENTITY_ID", "STATUS_ID", "CATEGORY_ID"),
))
DEAL_CATEGORIES = _snapshot("deal_categories", ("id",), "name", *fields(
    "name", "sort", "entityTypeId", "isDefault", ids=("id", "originId", "originatorId"),
))
# fmt: on

ALL = (
    LEADS,
    DEALS,
    CONTACTS,
    DEAL_CONTACTS,
    DEAL_PRODUCTS,
    INVOICES,
    STATUSES,
    DEAL_CATEGORIES,
    DEAL_STAGE_HISTORY,
    LEAD_STAGE_HISTORY,
)
