{{ staged_by_load('amocrm', 'contacts') }}

with

landed as (

    select * from {{ source('amocrm', 'contacts') }}
    where {{ rows_of_this_build() }}

),

cells as (

    select
        landed.account_id,
        landed.record_key,
        landed.load_id,
        jsonb_path_query_array(
            landed.record, 'lax $.phones[*][*] ? (@ like_regex "^[a-z]{2}[1-9]_")'
        ) as phones,
        jsonb_path_query_array(
            landed.record, 'lax $.emails[*][*] ? (@ like_regex "^[a-z]{2}[1-9]_")'
        ) as emails,
        {{ cell('id') }} as contact_id,
        {{ cell('_name_token') }} as name_token,
        {{ cell('created_at') }} as created_at,
        {{ cell('updated_at') }} as modified_at
    from landed

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        contact_id,
        -- amoCRM does not say with which lead a contact came
        null::text as lead_id,
        name_token,
        phones,
        emails,

        ---------- timestamps
        to_timestamp({{ typed('created_at', 'integer') }}) as created_at,
        to_timestamp({{ typed('modified_at', 'integer') }}) as modified_at,

        {{ unreadable({
            'created_at': 'integer', 'modified_at': 'integer',
        }) }} as unreadable_columns
    from cells

)

select * from typed
