{{ config(tags=['identifiers']) }}

with

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

token_facts as (

    select * from {{ source('identity', 'token_facts') }}

),

quarantined as (

    select
        identifiers.kind,
        identifiers.identifier,
        token_facts.masked,
        identifiers.quarantine_reason,
        identifiers.contacts_count,
        identifiers.client_ids_count,
        identifiers.leads_count,
        identifiers.first_seen_at
    from identifiers
    left join token_facts on identifiers.identifier = token_facts.token
    where identifiers.standing = 'quarantined'

)

select * from quarantined
