-- Every observation that two identifiers were seen together. What it is worth is judged
-- in int_identifiers and identity_edges.
{{ config(tags=['identifiers'], indexes=[{'columns': ['left_kind', 'left_id']}]) }}

with

calls as (

    select * from {{ ref('stg_calltouch__calls') }}

),

leads as (

    select * from {{ ref('stg_bitrix24__leads') }}

),

deals as (

    select * from {{ ref('stg_bitrix24__deals') }}

),

deal_contacts as (

    select * from {{ ref('stg_bitrix24__deal_contacts') }}

),

contacts as (

    select * from {{ ref('stg_bitrix24__contacts') }}

),

contact_tokens as (

    select * from {{ ref('stg_bitrix24__contact_tokens') }}

),

seen_together as (

    -- the number was shown to this browser, and called
    select
        'ym_client_id' as left_kind,
        ym_client_id as left_id,
        'phone' as right_kind,
        caller_phone as right_id,
        'call' as evidence,
        called_at as seen_at
    from calls

    union all

    select
        'crm_lead' as left_kind,
        {{ crm_identifier('account_id', 'lead_id') }} as left_id,
        'ym_client_id' as right_kind,
        ym_client_id as right_id,
        'lead_client_id' as evidence,
        created_at as seen_at
    from leads

    union all

    select
        'crm_lead' as left_kind,
        {{ crm_identifier('account_id', 'lead_id') }} as left_id,
        'phone' as right_kind,
        jsonb_array_elements_text(phones) as right_id,
        'lead_phone' as evidence,
        created_at as seen_at
    from leads

    union all

    select
        'crm_lead' as left_kind,
        {{ crm_identifier('account_id', 'lead_id') }} as left_id,
        'email' as right_kind,
        jsonb_array_elements_text(emails) as right_id,
        'lead_email' as evidence,
        created_at as seen_at
    from leads

    union all

    select
        'crm_contact' as left_kind,
        {{ crm_identifier('account_id', 'contact_id') }} as left_id,
        'crm_lead' as right_kind,
        {{ crm_identifier('account_id', 'lead_id') }} as right_id,
        'lead_contact' as evidence,
        created_at as seen_at
    from leads

    union all

    select
        'crm_contact' as left_kind,
        {{ crm_identifier('account_id', 'contact_id') }} as left_id,
        'crm_lead' as right_kind,
        {{ crm_identifier('account_id', 'lead_id') }} as right_id,
        'contact_made_from_lead' as evidence,
        created_at as seen_at
    from contacts

    union all

    select
        'crm_deal' as left_kind,
        {{ crm_identifier('account_id', 'deal_id') }} as left_id,
        'crm_lead' as right_kind,
        {{ crm_identifier('account_id', 'lead_id') }} as right_id,
        'deal_lead' as evidence,
        created_at as seen_at
    from deals

    union all

    select
        'crm_contact' as left_kind,
        {{ crm_identifier('account_id', 'contact_id') }} as left_id,
        'crm_deal' as right_kind,
        {{ crm_identifier('account_id', 'deal_id') }} as right_id,
        'deal_primary_contact' as evidence,
        created_at as seen_at
    from deals

    union all

    select
        'crm_deal' as left_kind,
        {{ crm_identifier('account_id', 'deal_id') }} as left_id,
        'ym_client_id' as right_kind,
        ym_client_id as right_id,
        'deal_client_id' as evidence,
        created_at as seen_at
    from deals

    union all

    select
        'crm_contact' as left_kind,
        {{ crm_identifier('deals.account_id', 'deal_contacts.contact_id') }} as left_id,
        'crm_deal' as right_kind,
        {{ crm_identifier('deals.account_id', 'deals.deal_id') }} as right_id,
        'deal_other_contact' as evidence,
        deals.created_at as seen_at
    from deals
    inner join deal_contacts
        on
            deals.account_id = deal_contacts.account_id
            and deals.deal_id = deal_contacts.deal_id
    where deals.contact_id <> deal_contacts.contact_id

    union all

    select
        'crm_contact' as left_kind,
        {{ crm_identifier('account_id', 'contact_id') }} as left_id,
        kind as right_kind,
        token as right_id,
        'contact_' || kind as evidence,
        created_at as seen_at
    from contact_tokens

),

evidence as (

    select
        left_kind,
        left_id,
        right_kind,
        right_id,
        evidence,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        count(*) as times_seen
    from seen_together
    where left_id is not null and right_id is not null
    group by left_kind, left_id, right_kind, right_id, evidence

)

select * from evidence
