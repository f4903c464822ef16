-- The keyword of each kind of click: worked out once for clicks of one day that say the
-- same of themselves.
{{ config(indexes=[{'columns': ['click_key'], 'unique': true}]) }}

with

clicks as (

    select * from {{ ref('int_ad_clicks') }}

),

keywords as (

    select * from {{ ref('int_keywords_known') }}

),

keyword_days as (

    select * from {{ ref('int_keyword_days') }}

),

kinds_of_clicks as (

    select distinct
        click_key,
        platform,
        touch_date,
        campaign_id,
        ad_group_id,
        criterion_id,
        raw_text,
        plain_text
    from clicks
    where campaign_id is not null

),

-- 1 by id, 2 by the same spelling, 3 by the same words, 4 as the only one of its group
by_id as (

    select
        kinds_of_clicks.click_key,
        kinds_of_clicks.touch_date,
        keywords.*,
        1 as sureness
    from kinds_of_clicks
    inner join keywords
        on
            kinds_of_clicks.platform = keywords.platform
            and kinds_of_clicks.campaign_id = keywords.campaign_id
            and kinds_of_clicks.criterion_id = keywords.keyword_id
    where
        kinds_of_clicks.ad_group_id is null
        or kinds_of_clicks.ad_group_id = keywords.ad_group_id

),

by_words as (

    select
        kinds_of_clicks.click_key,
        kinds_of_clicks.touch_date,
        keywords.*,
        case
            when kinds_of_clicks.raw_text = keywords.raw_text then 2 else 3
        end as sureness
    from kinds_of_clicks
    inner join keywords
        on
            kinds_of_clicks.platform = keywords.platform
            and kinds_of_clicks.campaign_id = keywords.campaign_id
            and kinds_of_clicks.plain_text = keywords.plain_text
    where
        kinds_of_clicks.ad_group_id is null
        or kinds_of_clicks.ad_group_id = keywords.ad_group_id

),

-- an audience has no words to be told by, but is alone in its group
alone as (

    select
        kinds_of_clicks.click_key,
        kinds_of_clicks.touch_date,
        keywords.*,
        4 as sureness
    from kinds_of_clicks
    inner join keywords
        on
            kinds_of_clicks.platform = keywords.platform
            and kinds_of_clicks.campaign_id = keywords.campaign_id
            and kinds_of_clicks.ad_group_id = keywords.ad_group_id
    where
        kinds_of_clicks.plain_text is null
        and kinds_of_clicks.criterion_id is null
        and keywords.keywords_in_ad_group = 1

),

candidates as (

    select * from by_id
    union all
    select * from by_words
    union all
    select * from alone

),

-- of equals the one that was clicked most on that day
best as (

    select distinct on (candidates.click_key)
        candidates.click_key,
        candidates.ad_group_id,
        candidates.keyword_id,
        candidates.keyword,
        candidates.keyword_key
    from candidates
    left join keyword_days
        on
            candidates.touch_date = keyword_days.spend_date
            and candidates.campaign_id = keyword_days.campaign_id
            and candidates.keyword_key = keyword_days.keyword_key
            and candidates.platform = keyword_days.platform
    order by
        candidates.click_key asc,
        candidates.sureness asc,
        coalesce(keyword_days.clicks, 0) desc,
        candidates.clicks desc,
        candidates.keyword_id asc,
        candidates.ad_group_id asc

)

select * from best
