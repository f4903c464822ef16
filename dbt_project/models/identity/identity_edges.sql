-- What `identify` reads: who is joined to whom, and by what. Edges that join nobody
-- stay in the table, with the reason.
{{ config(tags=['identifiers']) }}

with

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

contact_tokens as (

    select * from {{ ref('stg_bitrix24__contact_tokens') }}

),

seen_together as (

    select
        evidence.left_kind,
        evidence.left_id,
        evidence.right_kind,
        evidence.right_id,
        evidence.evidence,
        evidence.first_seen_at,
        evidence.last_seen_at,
        evidence.times_seen,
        case
            when left_identifiers.standing not in ('strong', 'joining')
                then left_identifiers.kind || ' is ' || left_identifiers.standing
            when right_identifiers.standing not in ('strong', 'joining')
                then right_identifiers.kind || ' is ' || right_identifiers.standing
            -- a deal belongs to its primary contact; the others only take part
            when evidence.evidence = 'deal_other_contact'
                then 'contact is not the primary one'
        end as why_not_joining
    from evidence
    inner join identifiers as left_identifiers
        on
            evidence.left_kind = left_identifiers.kind
            and evidence.left_id = left_identifiers.identifier
    inner join identifiers as right_identifiers
        on
            evidence.right_kind = right_identifiers.kind
            and evidence.right_id = right_identifiers.identifier

),

-- holders of a shared phone who bear one name are one person with two cards
namesakes as (

    select
        contact_tokens.kind,
        contact_tokens.token,
        contact_tokens.name_token,
        contact_tokens.created_at,
        {{ crm_identifier(
            'contact_tokens.account_id', 'contact_tokens.contact_id'
        ) }} as contact
    from contact_tokens
    inner join identifiers
        on
            contact_tokens.kind = identifiers.kind
            and contact_tokens.token = identifiers.identifier
    where
        identifiers.standing = 'shared'
        and contact_tokens.name_token is not null

),

namesake_pairs as (

    select
        'crm_contact' as left_kind,
        'crm_contact' as right_kind,
        contact as right_id,
        created_at as seen_at,
        min(contact) over name_on_number as left_id,
        'same_name_on_shared_' || kind as evidence
    from namesakes
    window name_on_number as (partition by kind, token, name_token)

),

namesake_edges as (

    select
        left_kind,
        left_id,
        right_kind,
        right_id,
        evidence,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        count(*) as times_seen,
        null as why_not_joining
    from namesake_pairs
    where left_id <> right_id
    group by left_kind, left_id, right_kind, right_id, evidence

),

edges as (

    select * from seen_together
    union all
    select * from namesake_edges

)

select
    *,
    why_not_joining is null as is_joining
from edges
