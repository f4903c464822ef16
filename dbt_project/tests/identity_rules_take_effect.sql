-- A decision about what no record shows, or an allowed link that joins nobody: a slip
-- of the pen, or a record that is gone.
{{ config(severity='warn') }}

with

rules as (

    select * from {{ ref('identity_rules') }}

),

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

edges as (

    select * from {{ ref('identity_edges') }}
    where evidence = 'allowed' and is_joining

)

select
    rules.rule,
    rules.kind,
    rules.identifier,
    rules.other_kind,
    rules.other_identifier,
    rules.reason
from rules
left join identifiers
    on
        rules.kind = identifiers.kind
        and rules.identifier = identifiers.identifier
left join identifiers as other_identifiers
    on
        rules.other_kind = other_identifiers.kind
        and rules.other_identifier = other_identifiers.identifier
left join edges
    on
        rules.kind = edges.left_kind
        and rules.identifier = edges.left_id
        and rules.other_kind = edges.right_kind
        and rules.other_identifier = edges.right_id
where
    identifiers.identifier is null
    or (
        rules.other_identifier is not null
        and (
            other_identifiers.identifier is null
            or (rules.rule = 'allow' and edges.left_id is null)
        )
    )
