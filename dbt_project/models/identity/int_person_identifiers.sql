{{ config(tags=['persons'], indexes=[{'columns': ['kind', 'identifier']}]) }}

with

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}

),

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

-- a shared phone or e-mail is held by everybody whose card or lead shows it
held_by_several as (

    select distinct
        assigned.person_id,
        identifiers.kind,
        identifiers.identifier,
        identifiers.first_seen_at
    from identifiers
    inner join evidence
        on
            identifiers.kind = evidence.right_kind
            and identifiers.identifier = evidence.right_id
    inner join assigned
        on
            evidence.left_kind = assigned.kind
            and evidence.left_id = assigned.identifier
    where
        identifiers.standing = 'shared'
        and evidence.left_kind in ('crm_contact', 'crm_lead', 'message', 'sale')

),

person_identifiers as (

    select
        person_id,
        kind,
        identifier,
        first_seen_at,
        false as is_shared
    from assigned
    union all
    select
        person_id,
        kind,
        identifier,
        first_seen_at,
        true as is_shared
    from held_by_several

)

select * from person_identifiers
