-- Incremental: a build writes the persons whom `identify` touched, and those who hold a
-- shared identifier that was judged again.
{{ config(
    tags=['persons'],
    materialized='incremental',
    incremental_strategy='touched_persons',
    on_schema_change='fail',
    indexes=[
        {'columns': ['kind', 'identifier']},
        {'columns': ['person_node', 'node_id'], 'unique': true},
    ],
    pre_hook="{{ note_touched_holders() }}",
    post_hook="{{ forget_touched() }}"
) }}

with

identifiers as not materialized (

    select * from {{ ref('int_identifiers') }}

),

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

assigned as (

    {{ assigned_of_build() }}

),

-- a shared phone or e-mail is held by everybody whose card or lead shows it
held_by_several as (

    select distinct
        assigned.person_id,
        identifiers.kind,
        identifiers.identifier,
        identifiers.first_seen_at,
        identifiers.node_id,
        assigned.person_node
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
        false as is_shared,
        node_id,
        person_node
    from assigned
    union all
    select
        person_id,
        kind,
        identifier,
        first_seen_at,
        true as is_shared,
        node_id,
        person_node
    from held_by_several

)

select * from person_identifiers
