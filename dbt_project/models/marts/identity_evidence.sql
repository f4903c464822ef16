with

edges as (

    select * from {{ ref('identity_edges') }}

),

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}

),

evidence as (

    select
        assigned.person_id,
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
    left join assigned
        on
            edges.left_kind = assigned.kind
            and edges.left_id = assigned.identifier

)

select * from evidence
