"""What VK Ads says besides lists and statistics by day; `replay` names it."""

from typing import Any

from connectors.base.recognise import Known, at


def _left(content: Any) -> str:
    left = [n for n in at(content, "*.*.*.remaining.*") if isinstance(n, int)]
    return f"{len(content)} resources, least left {min(left, default='unknown')}"


KNOWN = (
    Known(
        "statistics by goal",
        has=("items.*.rows.*.goals",),
        why="goals are those of other counters; visits and leads are counted by ours",
        rows="items.*.rows",
    ),
    Known(
        "statistics of events in mobile applications",
        has=("items.*.rows.*.inapps",),
        why="they are events of other trackers",
        rows="items.*.rows",
    ),
    Known(
        "statistics of offline conversions",
        has=("items.*.rows.*.offline",),
        why="sales come from the CRM",
        rows="items.*.rows",
    ),
    Known(
        "sums of a period by version 3 of the statistics",
        has=("items.*.total.base", "items.*.user_id"),
        why="they have no days; version 2 is read, day by day",
        rows="items",
    ),
    Known(
        "statistics by minute of the last hour",
        has=("last_seen_msg_time", "*.*.minutely"),
        why="days are read once they are over",
        rows="ad_plans.*",
    ),
    Known(
        "what is left of the limits",
        has=("*.*.*.limits", "*.*.*.remaining"),
        why="the client waits by the headers of each answer",
        told=_left,
    ),
    Known(
        "statistics of the old cabinet (ads.getStatistics)",
        has=("response.*.stats",),
        why="that API has ended with the old cabinet",
        rows="response.*.stats",
    ),
    Known(
        "leads of a lead form, exported by hand",
        columns=("ID Кампании", "Время лида"),
        why="leads are read from the CRM",
    ),
)
