-- What can be said about how right we are: counted from the warehouse, and, where the
-- truth is known (the simulated company), measured against it.
with

measured as (

    select * from {{ source('identity', 'measured_accuracy') }}

),

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

edges as (

    select * from {{ ref('identity_edges') }}

),

calls as (

    select * from {{ ref('int_call_confidence') }}

),

identifier_shares as (

    select
        'identity' as subject,
        'share_of_' || kind || '_' || standing as metric,
        count(*)::numeric / sum(count(*)) over (partition by kind) as figure,
        count(*) || ' identifiers' as details
    from identifiers
    group by kind, standing

),

edge_counts as (

    select
        'identity' as subject,
        'edges_' || evidence
        || case when is_joining then '_joining' else '_kept_apart' end as metric,
        count(*)::numeric as figure,
        string_agg(distinct why_not_joining, '; ' order by why_not_joining) as details
    from edges
    where why_not_joining is null or why_not_joining not like 'forbidden: %'
    group by evidence, is_joining

),

call_certainty as (

    select
        'identity' as subject,
        'share_of_calls_surely_from_their_browser' as metric,
        (
            count(*) filter (
                where confidence >= {{ var('identity_min_confidence') }}
            )
        )::numeric / nullif(count(*), 0) as figure,
        count(*) || ' calls, each of a number shown to a browser' as details
    from calls

),

known as (

    select
        subject,
        metric,
        value as figure,
        details
    from measured

),

everything as (

    select * from identifier_shares
    union all
    select * from edge_counts
    union all
    select * from call_certainty
    union all
    select * from known

)

select
    subject,
    metric,
    figure::numeric(20, 6) as value, -- noqa: RF04
    details
from everything
