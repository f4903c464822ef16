-- The rules meet each combination of source facts once, not each touch.
{{ config(indexes=[{'columns': ['source_key'], 'unique': true}]) }}

with

touches as (

    select * from {{ ref('int_touch_sources') }}

),

manual_costs as (

    select * from {{ ref('int_ad_performance_unioned') }}
    where channel is null

),

rules as (

    select * from {{ ref('channel_rules') }}

),

combinations as (

    select
        source_key,
        traffic_source,
        adv_engine,
        utm_source,
        utm_medium,
        referral
    from touches

    union

    select
        {{ manual_source_key('manual_costs') }} as source_key,
        null as traffic_source,
        null as adv_engine,
        source_name as utm_source,
        medium as utm_medium,
        null as referral
    from manual_costs

),

matches as (

    select
        combinations.*,
        rules.rule_number,
        rules.channel,
        row_number() over (
            partition by combinations.source_key order by rules.rule_number
        ) as place
    from combinations
    inner join rules
        on
            {{ fits_rule('traffic_source') }}
            and {{ fits_rule('adv_engine') }}
            and {{ fits_rule('utm_source') }}
            and {{ fits_rule('utm_medium') }}
            and {{ fits_rule('referral') }}

),

first_matches as (

    select
        source_key,
        traffic_source,
        adv_engine,
        utm_source,
        utm_medium,
        referral,
        rule_number,
        channel
    from matches
    where place = 1

)

select * from first_matches
