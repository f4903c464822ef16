{{ staged_by_load('files', 'costs') }}

with

landed as (

    select * from {{ source('files', 'costs') }}
    where {{ rows_of_this_build() }}

),

accounts as (

    select * from {{ source('ops', 'accounts') }}
    where source = 'files'

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
        {{ cell('file') }} as file_name,
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
        file_name,
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
