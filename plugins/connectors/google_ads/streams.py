"""What is read of an account: figures by day at each level, clicks, and lists."""

from __future__ import annotations

from connectors.base.stream import Stream, fields

DAY = "segments.date"
SPLIT = ("segments.adNetworkType", "segments.device")
METRICS = ("metrics.impressions", "metrics.clicks", "metrics.costMicros")
KEYWORD = "segments.keyword.adGroupCriterion"
KEYWORD_TEXT = ("segments.keyword.info.text", "segments.keyword.info.matchType")


def _costs(name: str, key: tuple[str, ...], *others: str, text: str = "") -> Stream:
    """Figures of a day, split by network and device; `cost` is ours (search.py)."""
    key = (DAY, *key, *SPLIT) if key else (DAY,)
    plain = tuple(each for each in key if each != text)
    return Stream(
        name=name,
        kind="window",
        key=key,
        fields=fields(*plain, *others, *METRICS, "cost", text=(text,) * bool(text)),
        date_field=DAY,
        amount_field="cost",
        restate_days=30,
        history_days=1095,
        required_fields=key,
    )


ACCOUNT_PERFORMANCE = _costs("account_performance", ())
CAMPAIGN_PERFORMANCE = _costs(
    "campaign_performance",
    ("campaign.id",),
    "campaign.name",
    "campaign.advertisingChannelType",
)
AD_GROUP_PERFORMANCE = _costs(
    "ad_group_performance", ("adGroup.id",), "adGroup.name", "campaign.id"
)
AD_PERFORMANCE = _costs(
    "ad_performance", ("adGroup.id", "adGroupAd.ad.id"), "campaign.id"
)
KEYWORD_PERFORMANCE = _costs(
    "keyword_performance",
    ("adGroup.id", "adGroupAd.ad.id", KEYWORD),
    "campaign.id",
    *KEYWORD_TEXT,
)
SEARCH_TERMS = _costs(
    "search_terms",
    (
        "adGroup.id",
        KEYWORD,
        "searchTermView.searchTerm",
        "segments.searchTermMatchType",
    ),
    "campaign.id",
    *KEYWORD_TEXT,
    text="searchTermView.searchTerm",
)
CLICK_KEY = (DAY, "clickView.gclid", "segments.clickType")
CLICK_VIEW = Stream(
    name="click_view",
    kind="window",
    key=CLICK_KEY,
    fields=fields(
        *CLICK_KEY,
        *SPLIT,
        *("clickView.adGroupAd", "clickView.keyword", "clickView.keywordInfo.text"),
        *("clickView.keywordInfo.matchType", "campaign.id", "adGroup.id"),
        "metrics.clicks",
    ),
    date_field=DAY,
    restate_days=3,
    history_days=89,  # the vendor keeps 90 days, today among them
    required_fields=CLICK_KEY,
)


def _objects(name: str, key: tuple[str, ...], plain: str, url: str = "") -> Stream:
    """A list of what there is, removed things among it."""
    declared = fields(*key, *plain.split(), url=(url,) * bool(url))
    return Stream(name, "snapshot", key, declared, required_fields=key)


CAMPAIGNS = _objects(
    "campaigns",
    ("campaign.id",),
    "campaign.name campaign.status campaign.advertisingChannelType",
)
AD_GROUPS = _objects(
    "ad_groups",
    ("adGroup.id",),
    "campaign.id adGroup.name adGroup.status adGroup.type",
)
ADS = _objects(
    "ads",
    ("adGroup.id", "adGroupAd.ad.id"),
    "campaign.id adGroupAd.status adGroupAd.ad.type",
    url="adGroupAd.ad.finalUrls",
)
KEYWORDS = _objects(
    "keywords",
    ("adGroup.id", "adGroupCriterion.criterionId"),
    "campaign.id adGroupCriterion.status adGroupCriterion.negative "
    "adGroupCriterion.keyword.text adGroupCriterion.keyword.matchType",
)

STREAMS = (
    *(CAMPAIGN_PERFORMANCE, AD_GROUP_PERFORMANCE, AD_PERFORMANCE),
    *(KEYWORD_PERFORMANCE, SEARCH_TERMS, CLICK_VIEW, ACCOUNT_PERFORMANCE),
    *(CAMPAIGNS, AD_GROUPS, ADS, KEYWORDS),
)
