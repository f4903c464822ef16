"""What an amoCRM account holds, field by field, and which of it is personal.

Names as API v4 gives them (README.md); what `records` lifts out of custom fields and
of `_embedded` stands under a name of its own. Moments are Unix seconds; a record's day
is that of the account's zone.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from connectors.base.stream import Field, Stream, fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo


def _created(record: Mapping[str, Any], zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(int(record["created_at"]), zone).date()


def _entity(
    name: str,
    *declared: Field,
    required: tuple[str, ...],
    amount: str | None = None,
    append_only: bool = False,
) -> Stream:
    """What is made once and may change: read by the moment of its last change."""
    return Stream(
        name=name,
        kind="entity",
        key=("id",),
        fields=declared,
        date_field="created_at",
        date_of=_created,
        amount_field=amount,
        required_fields=("id", "created_at", *required),
        append_only=append_only,
    )


def _snapshot(name: str, key: tuple[str, ...], *declared: Field) -> Stream:
    """What is read whole each time."""
    required = "is_deleted" if name == "deleted_leads" else "name"
    return Stream(name, "snapshot", key, declared, required_fields=(*key, required))


# fmt: off
TRACKING_IDS = ("_YM_UID", "_YM_COUNTER", "GCLIENTID", "GCLID", "YCLID", "FBCLID", "ROISTAT")
TRACKING_URLS = ("UTM_REFERRER", "REFERRER")
TRACKING = ("UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM", "FROM")
_MADE = ("created_at", "updated_at", "closest_task_at", "is_deleted")
_BY = ("responsible_user_id", "group_id", "created_by", "updated_by", "account_id")

LEADS = _entity("leads", *fields(
    "price", "closed_at", "score", "labor_cost", "is_price_modified_by_robot",
    *_MADE, *TRACKING,
    ids=("id", "status_id", "pipeline_id", "loss_reason_id", "source_id",
         "main_contact_id", *_BY, *TRACKING_IDS),
    text=("name", "custom_fields_values", "_embedded"), url=TRACKING_URLS,
), required=("updated_at", "status_id", "pipeline_id", "price"), amount="price")
CONTACTS = _entity("contacts", *fields(
    "phone_kinds", "email_kinds", *_MADE, ids=("id", *_BY),
    text=("custom_fields_values", "_embedded"),
    phone=("phones",), email=("emails",), name=("name", "name_parts"),
), required=("updated_at",))
EVENTS = _entity("events", *fields(
    "type", "entity_type", "created_at",
    ids=("id", "entity_id", "created_by", "account_id"),
    text=("value_after", "value_before"),
), required=("type", "entity_id"), append_only=True)
DELETED_LEADS = _snapshot("deleted_leads", ("id",), *fields(
    "updated_at", "is_deleted", ids=("id", "updated_by"),
))
PIPELINES = _snapshot("pipelines", ("id",), *fields(
    "name", "sort", "is_main", "is_unsorted_on", "is_archive", ids=("id", "account_id"),
))
STATUSES = _snapshot("statuses", ("pipeline_id", "id"), *fields(
    "name", "sort", "is_editable", "color", "type",
    ids=("id", "pipeline_id", "account_id"),
))
LOSS_REASONS = _snapshot("loss_reasons", ("id",), *fields(
    "name", "sort", "created_at", "updated_at", ids=("id",),
))
USERS = _snapshot("users", ("id",), *fields(
    "name", "lang", "rights", ids=("id",), email=("email",),
))
# fmt: on

ALL = (
    LEADS,
    CONTACTS,
    EVENTS,
    DELETED_LEADS,
    PIPELINES,
    STATUSES,
    LOSS_REASONS,
    USERS,
)

CUSTOM_FIELDS = _snapshot("custom_fields", ("id",), *fields("name", ids=("id",)))
"""Asked for to check the mapping; not landed."""
