"""What Calltouch's journals hold, field by field, and which day a record is of.

IP addresses and user agents are in the answers, and nobody needs them to tell which
advertisement worked: they are left out before anything is landed.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.base.errors import ParseError
from connectors.base.stream import Stream, fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.batch import Record
    from connectors.base.stream import Window

LEFT_OUT = frozenset({"ip", "userAgent"})
CLIENT = "client"  # the only block of a request with contacts of several kinds


def _call_day(record: Mapping[str, Any], zone: ZoneInfo) -> date:
    """`timestamp` is the only field with a moment; the printed dates have no zone."""
    return datetime.fromtimestamp(int(record["timestamp"]), zone).date()


def _request_day(record: Mapping[str, Any], zone: ZoneInfo) -> date:
    """`date` is in milliseconds here."""
    return datetime.fromtimestamp(int(record["date"]) / 1000, zone).date()


def _deal_day(record: Mapping[str, Any], zone: ZoneInfo) -> date:
    """Milliseconds, or printed in the cabinet's local time: the vendor does not say."""
    at = record["createdDate"]
    if isinstance(at, int):
        return datetime.fromtimestamp(at / 1000, zone).date()
    return _printed_day(str(at)[:10])


@lru_cache(4096)
def _printed_day(day: str) -> date:
    return datetime.strptime(day, "%d/%m/%Y").date()  # noqa: DTZ007 - a day


def refuse_others(stream: Stream, records: list[Record], window: Window) -> None:
    """Raise ParseError for a record of another day: the account's zone is wrong, and
    days would be replaced by halves. What has no day is left to landing."""
    zone = ZoneInfo(window.time_zone)
    # nearly always all are moments and of these days
    unit = 1 if stream.name == "calls" else 1000
    moments: list[Any] = [record.get(stream.date_field or "") for record in records]
    if {*map(type, moments)} == {int} and (
        window.start_at.timestamp() * unit <= min(moments)
        and max(moments) < window.end_at.timestamp() * unit
    ):
        return
    for record in records:
        try:
            day = (stream.date_of or _call_day)(record, zone)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            continue
        if day is not None and not window.date_from <= day < window.date_to:
            raise ParseError(
                f"{stream.name} {window.date_from} to {window.last_day}: a record of "
                f"{day} came; set time_zone of this account in sources.yml to the "
                "cabinet's"
            )


# fmt: off
CALLS = Stream(
    name="calls",
    kind="window",
    key=("callId",),
    fields=fields(
        "callphase", "attribution", "callTags", "date", "duration", "manager",
        "successful", "uniqueCall", "targetCall", "uniqTargetCall", "callbackCall",
        "city", "source", "medium", "keyword", "hostname", "utmSource", "utmMedium",
        "utmCampaign", "utmContent", "utmTerm", "waitingConnect", "additionalTags",
        "device", "os", "browser", "timestamp", "sessionDate", "yandexDirect",
        "googleAdWords", "siteName", "dcm", "subPoolName", "statusDetails",
        ids=("callId", "sessionId", "ctCallerId", "clientId", "yaClientId", "sipCallId",
             "callReferenceId", "callClientUniqueId", "siteId", "ctClientId",
             "ctGlobalId"),
        phone=("callerNumber",),
        business_number=("phoneNumber", "redirectNumber"),
        url=("url", "callUrl", "ref"),
        text=("comments", "phrases", "phonesInText", "callbackInfo", "customFields",
              "attrs", "orders", "order", "mapVisits"),
    ),
    date_field="timestamp",
    date_of=_call_day,
    restate_days=30,  # tags, managers and targets are set days after the call
    required_fields=("callId", "timestamp", "callerNumber", "phoneNumber"),
    large_records=True,
)
REQUESTS = Stream(
    name="requests",
    kind="window",
    key=("requestId",),
    fields=fields(
        "date", "dateStr", "subject", "requestType", "status", "manager",
        "uniqueRequest", "targetRequest", "uniqTargetRequest", "hostname",
        "RequestTags", "yandexDirect", "googleAdWords", "dcm",
        ids=("requestId", "requestNumber", "siteId", "ctClientId", "ctGlobalId",
             "client.clientId"),
        phone=("client.phones",), email=("client.contacts",), name=("client.fio",),
        url=("requestUrl", "session", "mapVisits"),
        text=("comments", "orders", "order", "widgetInfo", "customFields"),
    ),
    date_field="date",
    date_of=_request_day,
    restate_days=30,
    required_fields=("requestId", "date", "client.phones"),
    large_records=True,
)
DEAL_JOURNAL = Stream(
    name="deal_journal",
    kind="window",
    key=("orderId",),
    fields=fields(
        "orderStatus", "funnel", "service", "createdDate", "updatedDate",
        "plannedAmount", "completedAmount", "orderTags",
        ids=("orderId", "orderNumber", "siteId"),
        url=("session",), text=("orderName", "comments"),
    ),
    date_field="createdDate",
    date_of=_deal_day,
    restate_days=90,  # a deal's stage and sum change until it is closed
    required_fields=("orderId", "createdDate", "orderStatus"),
    large_records=True,
)
# fmt: on
ALL = (CALLS, REQUESTS, DEAL_JOURNAL)


def clean(record: Record) -> Record:
    """The record without what is left out, and with a request's contacts by kind.

    `client` becomes `client.clientId`, `client.fio`, `client.phones` and
    `client.contacts` (both lists of texts); what else is in it keeps its name. The
    record that is given is changed.
    """
    if record.get("session") or record.get("mapVisits"):
        _drop(record)  # in these blocks an address may stand, too
    else:
        for name in LEFT_OUT:
            record.pop(name, None)
    client = record.get(CLIENT)
    if not isinstance(client, dict):
        return record
    del record[CLIENT]
    for name, value in client.items():
        record[f"{CLIENT}.{name}"] = value
    for name, inner in (("phones", "phoneNumber"), ("contacts", "contactValue")):
        value = client.get(name)
        if isinstance(value, list):
            record[f"{CLIENT}.{name}"] = [
                each.get(inner) if isinstance(each, dict) else each for each in value
            ]
    return record


_NESTED = frozenset({dict, list})


def _drop(value: Any) -> None:
    # most values are plain: they are asked for their type, not called for
    if type(value) is dict:
        for name in LEFT_OUT:
            value.pop(name, None)
        value = value.values()
    for each in value:
        if type(each) in _NESTED:
            _drop(each)
