"""What the reports hold. Only what is named here is asked for: the API sends a few
fields by default and the rest (UTM, client ids, tags) to those who name them.

Left out on purpose: recordings and links to them, addresses of visitors (IP, provider),
their profiles in messengers. Names as the documentation gives them (README.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.base.stream import Field, Stream, fields

# fmt: off
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
ORIGIN = fields(
    "referrer_domain", "search_engine", "channel", "channel_code", "channel_new",
    "source_name", "source_new", "campaign_name", "site_domain_name", "visitor_type",
    "visitor_city", "visitor_region", "visitor_device", *UTM,
    ids=("ua_client_id", "ym_client_id", "gclid", "yclid", "campaign_id", "site_id",
         "source_id", "visitor_id", "person_id"),
    url=("referrer", "entrance_page"),
    text=("search_query",),
)
"""Where a visitor came from; in every report."""

CONTACT = fields(
    "communication_number", "visits_count", "visit_other_campaign", "attributes",
    "sale_date", "sale_cost",
    ids=("visitor_session_id", "visitor_first_campaign_id"),
    url=("communication_page_url",),
    text=("tags",),
)
"""What a call, a chat and a message have besides; most of it is set days later."""
# fmt: on


@dataclass(frozen=True)
class Report:
    """How a stream is asked for: its method, its order, parameters of its own."""

    method: str
    sort_by: str
    params: tuple[tuple[str, bool], ...] = ()


def _stream(
    name: str,
    *declared: Field,
    at: str,
    key: tuple[str, ...],
    required: tuple[str, ...],
) -> Stream:
    """A report by civil days; `at` is the account's local time, without an offset."""
    return Stream(
        name=name,
        kind="window",
        key=key,
        fields=(*declared, *ORIGIN),
        date_field=at,
        # nothing says what changed: tags, sales, merged persons come days later
        restate_days=30,
        required_fields=(*key, at, *required),
        large_records=True,
    )


# fmt: off
CALLS = _stream("calls", *fields(
    "start_time", "finish_time", "finish_reason", "direction", "source", "is_lost",
    "is_transfer", "wait_duration", "total_wait_duration", "talk_duration",
    "clean_talk_duration", "total_duration", "lost_call_processing_duration",
    "cpn_region_name", "communication_type", "employees", "scenario_name",
    "last_answered_employee_full_name",
    ids=("id", "communication_id", "cpn_region_id", "last_answered_employee_id",
         "scenario_id", "contact_id", "ext_id", "call_api_external_id"),
    phone=("contact_phone_number",), name=("contact_full_name",),
    business_number=("virtual_phone_number", "operator_phone_number"),
    text=("properties",),
), *CONTACT, at="start_time", key=("id",),
    required=("direction", "contact_phone_number", "virtual_phone_number"))
COMMUNICATIONS = _stream("communications", *fields(
    "communication_type", "date_time", ids=("id",),
), *CONTACT, at="date_time", key=("communication_type", "id"), required=("visitor_id",))
SESSIONS = _stream("sessions", *fields(
    "date_time", "duration", "hits_count", "engine", "integrated_campaign_data",
    "visitor_country", "visitor_browser_name", "visitor_os_name", "visitor_language",
    ids=("id", "ymclid", "ext_id"), url=("exit_page",), text=("cm_id",),
), at="date_time", key=("id",), required=("visitor_id",))
CHATS = _stream("chats", *fields(
    "date_time", "status", "initiator", "duration", "answer_time", "release_cause",
    "is_group_chat", "is_transfer", "messages_count", "chat_channel_type",
    "chat_channel_name", "communication_type", "employee_full_name",
    ids=("id", "communication_id", "chat_channel_id", "employee_id", "ext_id"),
    phone=("visitor_phone_number",), url=("chat_ad_url",),
), *CONTACT, at="date_time", key=("id",), required=("visitor_phone_number",))
OFFLINE_MESSAGES = _stream("offline_messages", *fields(
    "date_time", "status", "process_time", "form_type", "form_name", "group_name",
    "communication_type", "is_agree_to_process_personal_data", "is_agree_to_mailing",
    "employee_full_name",
    ids=("id", "communication_id", "employee_id", "group_id", "ext_id"),
    phone=("visitor_phone_number",), email=("visitor_email",), name=("visitor_name",),
    text=("text", "properties", "employee_comment", "employee_answer_message"),
), *CONTACT, at="date_time", key=("id",), required=("visitor_phone_number",))
# fmt: on

REPORTS: dict[str, Report] = {
    "calls": Report(
        "get.calls_report", "start_time", (("include_ongoing_calls", False),)
    ),
    "communications": Report("get.communications_report", "date_time"),
    # neither of these two can be sorted by its time
    "sessions": Report("get.visitor_sessions_report", "visitor_id"),
    "chats": Report("get.chats_report", "date_time"),
    "offline_messages": Report("get.offline_messages_report", "visitor_id"),
}
ALL = (CALLS, COMMUNICATIONS, SESSIONS, CHATS, OFFLINE_MESSAGES)
