"""What Meta says besides pages of insights and lists; `replay` names it."""

from typing import Any

import orjson

from connectors.base.recognise import Known, ids_at
from connectors.meta_ads.errors import usage_of, wait_of


def _state(content: Any) -> str:
    done = content.get("async_percent_completion")
    share = f", {done} %" if isinstance(done, int) else ""
    return f"{str(content['async_status'])[:40]}{share}"


def _usage(content: Any) -> str:
    headers = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in content.items()
    }
    wait = wait_of(headers)
    waits = f", to wait {wait:.0f} s" if wait else ""
    return f"the fullest limit is used up by {usage_of(headers):.0f} %{waits}"


KNOWN = (
    Known(
        "a report that was ordered",
        has=("report_run_id",),
        why="it is asked for until it is made",
        told=lambda content: f"number {ids_at(content, 'report_run_id')}",
    ),
    Known(
        "the state of a report",
        has=("async_status",),
        why="its pages hold them, once it is made",
        told=_state,
    ),
    Known(
        "headers that tell about limits",
        has=("x-business-use-case-usage",),
        why="the client waits by them",
        told=_usage,
    ),
    Known(
        "insights by product",
        has=("data.*.date_start", "data.*.product_id"),
        why="each row is a part of an ad's day; ad_insights asks by publisher_platform",
        rows="data",
    ),
    Known(
        "insights of another level or by another breakdown",
        has=("data.*.date_start", "data.*.impressions"),
        rows="data",
    ),
)
