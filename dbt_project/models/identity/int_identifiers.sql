-- Each identifier and what it may prove: a function of all current evidence, judged
-- before anybody is joined to anybody.
{{ config(
    tags=['identifiers'],
    indexes=[{'columns': ['kind', 'identifier'], 'unique': true}]
) }}

with

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

visits as (

    select * from {{ ref('stg_yandex_metrica__visits') }}

),

calls as (

    select * from {{ ref('stg_calltouch__calls') }}

),

leads as (

    select * from {{ ref('stg_bitrix24__leads') }}

),

deals as (

    select * from {{ ref('stg_bitrix24__deals') }}

),

contacts as (

    select * from {{ ref('stg_bitrix24__contacts') }}

),

contact_tokens as (

    select * from {{ ref('stg_bitrix24__contact_tokens') }}

),

token_facts as (

    select * from {{ source('identity', 'token_facts') }}

),

sightings as (

    select
        left_kind as kind,
        left_id as identifier,
        first_seen_at as seen_at
    from evidence
    union all
    select
        right_kind as kind,
        right_id as identifier,
        first_seen_at as seen_at
    from evidence
    union all
    select
        'ym_client_id' as kind,
        client_id as identifier,
        min(started_at) as seen_at
    from visits
    where client_id is not null
    group by client_id
    union all
    select
        'phone' as kind,
        caller_phone as identifier,
        called_at as seen_at
    from calls
    where caller_phone is not null
    union all
    select
        'crm_lead' as kind,
        {{ crm_identifier('account_id', 'lead_id') }} as identifier,
        created_at as seen_at
    from leads
    union all
    select
        'crm_deal' as kind,
        {{ crm_identifier('account_id', 'deal_id') }} as identifier,
        created_at as seen_at
    from deals
    union all
    select
        'crm_contact' as kind,
        {{ crm_identifier('account_id', 'contact_id') }} as identifier,
        created_at as seen_at
    from contacts

),

identifiers as (

    select
        kind,
        identifier,
        min(seen_at) as first_seen_at
    from sightings
    group by kind, identifier

),

token_holders as (

    select
        kind,
        token,
        count(
            distinct {{ crm_identifier('account_id', 'contact_id') }}
        ) as contacts_count,
        count(distinct name_token) as names_count
    from contact_tokens
    group by kind, token

),

-- browsers of a number, and people of a browser
counterparts as (

    select
        right_kind as kind,
        right_id as identifier,
        count(distinct left_id) filter (where left_kind = 'ym_client_id')
            as client_ids_count,
        count(distinct left_id) filter (where left_kind = 'crm_lead') as leads_count
    from evidence
    where right_kind in ('phone', 'email', 'ym_client_id')
    group by right_kind, right_id

),

client_id_phones as (

    select
        left_id as identifier,
        count(distinct right_id) as phones_count
    from evidence
    where left_kind = 'ym_client_id' and right_kind = 'phone'
    group by left_id

),

counted as (

    select
        identifiers.kind,
        identifiers.identifier,
        identifiers.first_seen_at,
        token_facts.number_type,
        coalesce(token_facts.is_own_number, false) as is_own_number,
        coalesce(token_facts.is_placeholder, false) as is_placeholder,
        coalesce(token_holders.contacts_count, 0) as contacts_count,
        coalesce(token_holders.names_count, 0) as names_count,
        coalesce(counterparts.client_ids_count, 0) as client_ids_count,
        coalesce(counterparts.leads_count, 0) as leads_count,
        coalesce(client_id_phones.phones_count, 0) as phones_count
    from identifiers
    left join token_facts on identifiers.identifier = token_facts.token
    left join token_holders
        on
            identifiers.kind = token_holders.kind
            and identifiers.identifier = token_holders.token
    left join counterparts
        on
            identifiers.kind = counterparts.kind
            and identifiers.identifier = counterparts.identifier
    left join client_id_phones
        on
            identifiers.identifier = client_id_phones.identifier
            and identifiers.kind = 'ym_client_id'

),

judged as (

    select
        *,
        case
            when kind in ('crm_contact', 'crm_lead', 'crm_deal') then null
            when is_own_number then 'own_number'
            when is_placeholder then 'placeholder'
            when number_type in ('toll_free', 'shared_cost', 'premium_rate', 'uan')
                then 'service_number'
            when contacts_count > {{ var('identifier_max_contacts') }}
                then 'too_many_contacts'
            when client_ids_count > {{ var('identifier_max_client_ids') }}
                then 'too_many_browsers'
            when
                kind = 'ym_client_id'
                and greatest(leads_count, phones_count)
                > {{ var('identifier_max_contacts') }}
                then 'too_many_contacts'
        end as quarantine_reason
    from counted

),

classified as (

    select
        kind,
        identifier,
        first_seen_at,
        quarantine_reason,
        contacts_count,
        names_count,
        client_ids_count,
        leads_count,
        case
            when quarantine_reason is not null then 'quarantined'
            when kind in ('crm_contact', 'crm_lead', 'crm_deal', 'ym_client_id')
                then 'strong'
            -- two cards with one number are one person twice when the names agree;
            -- a card without a name contradicts nobody
            when contacts_count >= 2 and names_count >= 2 then 'shared'
            else 'joining'
        end as standing
    from judged

)

select * from classified
