-- What can be said about how right we are: counted from the warehouse, and, where the
-- truth is known (the simulated company), measured against it.
with

measured as (

    select * from {{ source('identity', 'measured_accuracy') }}

),

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

edges as (

    select * from {{ ref('identity_edges') }}

),

large_persons as (

    select * from {{ source('identity', 'large_persons') }}

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

-- what joins nobody, by reason; each is listed in quarantined_identifiers
quarantine_counts as (

    select
        'identity' as subject,
        'quarantined_' || kind || '_' || quarantine_reason as metric,
        count(*)::numeric as figure,
        'seen ' || sum(times_seen) || ' times' as details
    from identifiers
    where standing = 'quarantined'
    group by kind, quarantine_reason

),

-- a record whose other identifiers are all empty
lonely_records as (

    select
        'identity' as subject,
        'records_of_' || contract || '_with_one_identifier' as metric,
        count(*)::numeric as figure,
        'nothing else stands in them' as details
    from evidence
    where right_id is null
    group by contract

),

edges_by_reason as (

    select
        evidence,
        is_joining,
        -- why a person forbade a link is read in identity_evidence
        regexp_replace(why_not_joining, '^forbidden: .*$', 'forbidden') as reason,
        count(*) as edges_count,
        sum(times_seen) as times_seen
    from edges
    group by evidence, is_joining, reason

),

edge_counts as (

    select
        'identity' as subject,
        'edges_' || evidence
        || case when is_joining then '_joining' else '_kept_apart' end as metric,
        sum(edges_count)::numeric as figure,
        coalesce(
            string_agg(
                reason || ': ' || edges_count, '; '
                order by edges_count desc, reason asc
            ),
            'in ' || sum(times_seen) || ' records'
        ) as details
    from edges_by_reason
    group by evidence, is_joining

),

large_person_counts as (

    select
        'identity' as subject,
        'persons_too_large' as metric,
        count(*)::numeric as figure,
        coalesce(
            (
                array_agg(
                    person_id || ' has ' || identifiers_count || ' identifiers'
                    order by identifiers_count desc, person_id asc
                )
            )[1],
            'none has more identifiers than the step identify allows'
        ) as details
    from (
        select
            person_id,
            max(identifiers) as identifiers_count
        from large_persons
        group by person_id
    ) as persons

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
        count(*) || ' calls, each of a number shown to a browser; of '
        || count(*) filter (where basis = 'leases')
        || ' a log says who held it' as details
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
    select * from quarantine_counts
    union all
    select * from lonely_records
    union all
    select * from edge_counts
    union all
    select * from large_person_counts
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
