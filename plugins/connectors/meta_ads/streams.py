"""What Meta has: figures by day and ad, by day and campaign, and three lists of names."""

from __future__ import annotations

from connectors.base.stream import Stream, fields

OF_CAMPAIGN = ("account_id", "campaign_id")
OF_AD = (*OF_CAMPAIGN, "adset_id", "ad_id")
FIGURES = ("account_currency", "impressions", "clicks", "spend")
# What a click led to. Kinds overlap, so nothing is summed before staging.
ACTIONS = ("inline_link_clicks", "actions", "action_values")
AD_INSIGHTS = Stream(
    name="ad_insights",
    kind="window",
    key=("date_start", "ad_id", "publisher_platform"),
    fields=fields(
        *("date_start", "date_stop", "publisher_platform", *FIGURES, *ACTIONS),
        *("campaign_name", "adset_name", "ad_name"),
        ids=OF_AD,
    ),
    date_field="date_start",
    amount_field="spend",
    restate_days=28,  # as long as a click may still lead to an action
    required_fields=("date_start", *OF_AD, "publisher_platform", "spend"),
)
CAMPAIGN_INSIGHTS = Stream(
    name="campaign_insights",
    kind="window",
    key=("date_start", "campaign_id"),
    fields=fields(
        *("date_start", "date_stop", "campaign_name", "objective", *FIGURES),
        ids=OF_CAMPAIGN,
    ),
    date_field="date_start",
    amount_field="spend",
    restate_days=28,
    required_fields=("date_start", "campaign_id", "spend"),
)
LEVELS = {"ad_insights": "ad", "campaign_insights": "campaign"}

STATE = ("name", "status", "effective_status", "created_time", "updated_time")


def _objects(name: str, *plain: str, ids: tuple[str, ...] = ()) -> Stream:
    """A snapshot of an edge of the ad account."""
    # Of a creative only its links are asked for.
    links = ("creative",) if name == "ads" else ()
    declared = fields(*STATE, *plain, ids=("id", *ids), url=links)
    return Stream(name, "snapshot", ("id",), declared, required_fields=("id", "name"))


CAMPAIGNS = _objects("campaigns", "objective", "start_time")
ADSETS = _objects("adsets", "start_time", ids=("campaign_id",))
ADS = _objects("ads", ids=("campaign_id", "adset_id"))
CREATIVE = "creative{id,url_tags,object_story_spec{link_data{link}},asset_feed_spec{link_urls}}"
