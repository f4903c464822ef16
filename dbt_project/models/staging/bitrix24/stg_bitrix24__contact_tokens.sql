with

contacts as (

    select * from {{ ref('stg_bitrix24__contacts') }}

),

exploded as (

    select distinct
        contacts.account_id,
        contacts.contact_id,
        contacts.name_token,
        contacts.created_at,
        tokens.kind,
        tokens.token
    from contacts
    cross join lateral (
        select
            'phone' as kind,
            unnest(contacts.phones) as token
        union all
        select
            'email' as kind,
            unnest(contacts.emails) as token
    ) as tokens

)

select * from exploded
