with

edges as (

    select * from {{ ref('identity_edges') }}

),

assigned as (

    select
        node_id,
        person_id
    from {{ source('identity', 'person_identifiers_assigned') }}

),

evidence as (

    select
        left_persons.person_id,
        right_persons.person_id as right_person_id,
        edges.left_kind,
        edges.left_id,
        edges.right_kind,
        edges.right_id,
        edges.evidence,
        edges.source,
        edges.contract,
        edges.account_id,
        edges.record_key,
        edges.via_kind,
        edges.via_id,
        {{ reporting_date('edges.first_seen_at') }} as first_seen_date,
        edges.first_seen_at,
        edges.last_seen_at,
        edges.times_seen,
        edges.confidence,
        edges.is_joining,
        edges.why_not_joining
    from edges
    left join assigned as left_persons on edges.left_node = left_persons.node_id
    left join assigned as right_persons on edges.right_node = right_persons.node_id

)

select * from evidence
