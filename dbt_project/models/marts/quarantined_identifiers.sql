with

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

rules as (

    select * from {{ ref('identity_rules') }}
    where rule = 'forbid' and other_identifier is null

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
        rules.reason as forbidden_because,
        identifiers.contacts_count,
        identifiers.client_ids_count,
        identifiers.leads_count,
        identifiers.phones_count,
        identifiers.times_seen,
        identifiers.first_seen_at,
        identifiers.last_seen_at
    from identifiers
    left join token_facts on identifiers.identifier = token_facts.token
    left join rules
        on
            identifiers.kind = rules.kind
            and identifiers.identifier = rules.identifier
    where identifiers.standing = 'quarantined'

)

select * from quarantined
