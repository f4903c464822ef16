-- What the tags of an ad click say, read by the templates: once for each value.
{{ config(indexes=[{'columns': ['parameter', 'tag_value'], 'unique': true}]) }}

with

touches as (

    select * from {{ ref('int_touch_sources') }}

),

templates as (

    select * from {{ ref('int_utm_templates') }}

),

tag_values as (

    select
        'utm_campaign' as parameter,
        utm_campaign as tag_value
    from touches
    where utm_campaign is not null
    union
    select
        'utm_content' as parameter,
        utm_content as tag_value
    from touches
    where utm_content is not null
    union
    select
        'utm_term' as parameter,
        utm_term as tag_value
    from touches
    where utm_term is not null

),

patterns as (

    select distinct
        parameter,
        macros,
        pattern,
        literal_length,
        pattern like '%[0-9]+%' as has_id
    from templates

),

readings as (

    select
        tag_values.parameter,
        tag_values.tag_value,
        patterns.macros,
        patterns.has_id,
        patterns.literal_length,
        patterns.pattern,
        regexp_match(tag_values.tag_value, patterns.pattern) as parts
    from tag_values
    inner join patterns on tag_values.parameter = patterns.parameter

),

-- the template that asks most of the value has read it right
best_readings as (

    select distinct on (parameter, tag_value)
        parameter,
        tag_value,
        macros,
        parts
    from readings
    where parts is not null
    order by
        parameter asc,
        tag_value asc,
        literal_length desc,
        has_id desc,
        pattern asc

),

macro_values as (

    select
        best_readings.parameter,
        best_readings.tag_value,
        named.macro,
        nullif(named.part, '') as part
    from best_readings
    cross join lateral unnest(
        string_to_array(best_readings.macros, ' '), best_readings.parts
    )
        as named (macro, part)

),

utm_values as (

    select
        parameter,
        tag_value,
        max(part) filter (where macro = 'campaign_id') as campaign_id,
        max(part) filter (where macro in ('gbid', 'adgroup_id')) as ad_group_id,
        max(part) filter (where macro in ('ad_id', 'banner_id')) as ad_id,
        max(part) filter (where macro in ('phrase_id', 'criterion_id'))
            as criterion_id,
        max(part) filter (where macro = 'keyword') as keyword,
        max(
            case part
                when 'search' then 'search'
                when 'context' then 'network'
            end
        ) filter (where macro = 'source_type') as placement
    from macro_values
    group by parameter, tag_value

)

select * from utm_values
