{#
    Costs that people write down, in a sheet or a file: one row is a sum for a period.
    `place` is the field that says where the row stands.
#}
{% macro written_costs(source_name, place, place_column) -%}
with

landed as (

    select * from {{ source(source_name, 'costs') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = '{{ source_name }}'

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        {{ cell('cost_id') }} as cost_id,
        {{ cell('source') }} as source,
        {{ cell('medium') }} as medium,
        {{ cell('campaign') }} as campaign_name,
        {{ cell(place) }} as {{ place_column }},
        coalesce({{ cell('currency_code') }}, accounts.currency_code)
            as currency_code,
        coalesce({{ flag(cell('vat_included')) }}, accounts.vat_included)
            as vat_included,
        {{ cell('amount') }} as amount,
        {{ cell('impressions') }} as impressions,
        {{ cell('clicks') }} as clicks,
        {{ cell('date_from') }} as date_from,
        {{ cell('date_to') }} as date_to
    from landed
    left join accounts on landed.account_id = accounts.account_id

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        cost_id,

        ---------- strings
        source,
        medium,
        campaign_name,
        {{ place_column }},
        currency_code,

        ---------- numerics
        {{ typed('amount', 'amount') }} as amount,
        {{ typed('impressions', 'integer') }} as impressions,
        {{ typed('clicks', 'integer') }} as clicks,

        ---------- booleans
        vat_included,

        ---------- timestamps
        {{ typed('date_from', 'date') }} as date_from,
        {{ typed('date_to', 'date') }} as date_to,

        {{ unreadable({
            'amount': 'amount',
            'impressions': 'integer',
            'clicks': 'integer',
            'date_from': 'date',
            'date_to': 'date',
        }) }} as unreadable_columns
    from cells

)

select * from typed
{%- endmacro %}

{#
    A sum for a period, spread evenly over its days. Each day gets what the days up to it
    have together, rounded, less what the days before it have: so the days add up to the
    sum, to the kopeck.
#}
{% macro written_costs_by_day(source_name) -%}
with

costs as (

    select * from {{ ref('stg_' ~ source_name ~ '__costs') }}

),

days as (

    select
        *,
        date_to - date_from + 1 as days_count,
        generate_series(0, date_to - date_from) as day_number
    from costs

),

performance as (

    select
        '{{ source_name }}' as platform,
        account_id,
        record_key || '|' || day_number as platform_key,
        date_from + day_number as spend_date,
        null::text as campaign_id,
        campaign_name,
        null::text as ad_group_id,
        null::text as ad_group_name,
        null::text as ad_id,
        null::text as keyword_id,
        null::text as keyword,
        null::text as placement,
        null::text as device,
        null::text as channel,
        source,
        medium,
        {{ share_of_day('coalesce(impressions, 0)', 0) }}::bigint as impressions,
        {{ share_of_day('coalesce(clicks, 0)', 0) }}::bigint as clicks,
        {{ share_of_day('amount', 2) }} as spend_amount,
        currency_code,
        vat_included
    from days

)

select * from performance
{%- endmacro %}

{#
    The share of the day `day_number` (from 0) of an amount for `days_count` days: the
    rounded shares of all days add up to the amount.
#}
{% macro share_of_day(amount, decimals) -%}
    (
        round(({{ amount }})::numeric * (day_number + 1) / days_count, {{ decimals }})
        - round(({{ amount }})::numeric * day_number / days_count, {{ decimals }})
    )
{%- endmacro %}
