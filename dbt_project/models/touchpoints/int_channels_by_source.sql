-- The rules meet each combination of source facts once, not each touch.
{{ config(indexes=[{'columns': ['source_key'], 'unique': true}]) }}

with

touches as (

    select * from {{ ref('int_touch_sources') }}

),

rules as (

    select * from {{ ref('channel_rules') }}

),

combinations as (

    select distinct
        source_key,
        traffic_source,
        adv_engine,
        utm_source,
        utm_medium,
        referral
    from touches

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
