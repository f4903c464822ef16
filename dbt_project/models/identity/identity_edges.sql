-- What `identify` reads: who is joined to whom, and by what. Edges that join nobody
-- stay in the table, with the reason.
{{ config(
    tags=['identifiers'],
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[
        {'columns': ['left_id', 'left_kind']},
        {'columns': ['right_id', 'right_kind']},
        {'columns': ['via_id', 'via_kind']},
        {'columns': ['left_node']},
    ],
    pre_hook=[
        "{{ note_changed_namesakes() }}",
        "{{ remove_changed('left_kind', 'left_id') }}",
        "{{ remove_changed('right_kind', 'right_id') }}",
        "{{ remove_changed('via_kind', 'via_id') }}",
    ],
    post_hook=["{{ note_changes_of('edges') }}", "{{ note_rules_applied() }}"]
) }}
{% set able = "('strong', 'joining')" %}

with

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

identifiers as (

    select * from {{ ref('int_identifiers') }}

),

all_names as (

    select * from {{ ref('int_identifier_names') }}

),

names as (

    select *
    from all_names
    where whole_name_token is not null

),

whole_names as (

    select
        kind,
        identifier,
        string_to_array(words, ' ') as words
    from all_names
    where is_whole

),

rules as (

    select * from {{ ref('identity_rules') }}
    where other_identifier is not null

),

-- said of one and the other is said of the other and the one
rules_both_ways as (

    select
        rule,
        kind,
        identifier,
        other_kind,
        other_identifier,
        reason
    from rules
    union
    select
        rule,
        other_kind as kind,
        other_identifier as identifier,
        kind as other_kind,
        identifier as other_identifier,
        reason
    from rules

),

changed as (

    select * from {{ source('identity', 'changed_identifiers') }}

),

-- a pair is judged again when either end changed
pairs as (

    select evidence.*
    from evidence
    {{ only_changed('evidence.left_kind', 'evidence.left_id') }}
    where evidence.right_id is not null
    {{ or_changed('evidence.right_kind', 'evidence.right_id') }}

),

seen_together as (

    select
        left_kind,
        left_id,
        right_kind,
        right_id,
        evidence,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        count(*) as times_seen,
        min(
            array[source, contract, account_id, record_key] collate "C"
        ) as first_record,
        max(confidence) as confidence,
        null::text as via_kind,
        null::text as via_id
    from pairs
    group by left_kind, left_id, right_kind, right_id, evidence

),

-- the browser's requests bear one name, the cards of the phone another
contradicted as (

    select
        seen_together.left_kind,
        seen_together.left_id,
        seen_together.right_kind,
        seen_together.right_id
    from seen_together
    inner join whole_names as left_names
        on
            seen_together.left_kind = left_names.kind
            and seen_together.left_id = left_names.identifier
    inner join whole_names as right_names
        on
            seen_together.right_kind = right_names.kind
            and seen_together.right_id = right_names.identifier
    where seen_together.evidence = 'call'
    group by
        seen_together.left_kind,
        seen_together.left_id,
        seen_together.right_kind,
        seen_together.right_id
    having
        not bool_or(
            left_names.words <@ right_names.words
            or left_names.words @> right_names.words
        )

),

phones_called_from as (

    select distinct right_id as identifier
    from pairs
    where evidence = 'call_phone'

),

-- a call bears no name: it is the known one's who asked about that time
calls_and_others as (

    select
        evidence.left_kind,
        evidence.left_id,
        evidence.right_id,
        evidence.seen_at,
        evidence.evidence = 'call_phone' as is_call,
        max(evidence.seen_at) filter (where evidence.evidence <> 'call_phone')
            over (before_it) as other_before,
        min(evidence.seen_at) filter (where evidence.evidence <> 'call_phone')
            over (after_it) as other_after
    from evidence
    inner join phones_called_from
        on
            evidence.right_id = phones_called_from.identifier
            and evidence.right_kind = 'phone'
    where evidence.seen_at is not null
    window
        before_it as (
            partition by evidence.right_id order by evidence.seen_at
        ),
        after_it as (
            partition by evidence.right_id order by evidence.seen_at desc
        )

),

out_of_the_blue as materialized (

    select
        left_kind,
        left_id,
        right_id
    from calls_and_others
    where
        is_call
        and coalesce(other_before, other_after) is not null
        and (
            other_before is null
            or seen_at - other_before
            > make_interval(days => {{ var('identity_nameless_days') }})
        )
        and (
            other_after is null
            or other_after - seen_at
            > make_interval(days => {{ var('identity_nameless_days') }})
        )

),

-- holders of a shared phone who bear one name are one person with two cards
namesakes as (

    select
        evidence.left_kind as kind,
        evidence.left_id as identifier,
        evidence.seen_at,
        evidence.source,
        evidence.contract,
        evidence.account_id,
        evidence.record_key,
        names.kind as via_kind,
        names.identifier as via_id,
        first_value(evidence.left_kind) over oldest_of_name as first_kind,
        first_value(evidence.left_id) over oldest_of_name as first_id
    from names
    inner join identifiers
        on
            names.kind = identifiers.kind
            and names.identifier = identifiers.identifier
            and identifiers.standing = 'shared'
    inner join evidence
        on
            names.kind = evidence.right_kind
            and names.identifier = evidence.right_id
            and names.name_token = evidence.name_token
    inner join identifiers as holders
        on
            evidence.left_kind = holders.kind
            and evidence.left_id = holders.identifier
    {{ only_changed('names.kind', 'names.identifier') }}
    window
        oldest_of_name as (
            partition by names.kind, names.identifier, names.whole_name_token
            order by
                holders.phones_count > {{ var('identifier_max_contacts') }} asc,
                evidence.left_kind collate "C" asc,
                evidence.left_id collate "C" asc
        )

),

same_name as (

    select
        first_kind as left_kind,
        first_id as left_id,
        kind as right_kind,
        identifier as right_id,
        'same_name_on_shared_' || via_kind as evidence,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        count(*) as times_seen,
        min(
            array[source, contract, account_id, record_key] collate "C"
        ) as first_record,
        1::real as confidence,
        via_kind,
        via_id
    from namesakes
    where (first_kind, first_id) <> (kind, identifier)
    group by first_kind, first_id, kind, identifier, via_kind, via_id

),

-- a person who knows says that two identifiers belong together
by_hand as (

    select
        rules.kind as left_kind,
        rules.identifier as left_id,
        rules.other_kind as right_kind,
        rules.other_identifier as right_id,
        'allowed' as evidence,
        null::timestamptz as first_seen_at,
        null::timestamptz as last_seen_at,
        1::bigint as times_seen,
        array['seed', 'identity_rules', null, rules.reason] as first_record,
        1::real as confidence,
        null::text as via_kind,
        null::text as via_id
    from rules
    {{ only_changed('rules.kind', 'rules.identifier') }}
    where rules.rule = 'allow'

),

found as (

    select * from seen_together
    union all
    select * from same_name
    union all
    select * from by_hand

),

judged as (

    select
        found.left_kind,
        found.left_id,
        found.right_kind,
        found.right_id,
        found.evidence,
        found.first_seen_at,
        found.last_seen_at,
        found.times_seen,
        found.first_record[1] as source,
        found.first_record[2] as contract,
        found.first_record[3] as account_id,
        found.first_record[4] as record_key,
        found.confidence,
        found.via_kind,
        found.via_id,
        left_identifiers.node_id as left_node,
        right_identifiers.node_id as right_node,
        case
            when
                (found.left_kind, found.left_id) = (found.right_kind, found.right_id)
                then 'it is one identifier'
            when rules.rule = 'forbid' then 'forbidden: ' || rules.reason
            when left_identifiers.standing not in {{ able }}
                then left_identifiers.kind || ' is ' || left_identifiers.standing
            when right_identifiers.standing not in {{ able }}
                then right_identifiers.kind || ' is ' || right_identifiers.standing
            when rules.rule = 'allow' then null
            -- that is a list, not somebody's card
            when
                (found.right_kind in ('phone', 'email') or found.via_id is not null)
                and greatest(
                    left_identifiers.phones_count, right_identifiers.phones_count
                ) > {{ var('identifier_max_contacts') }}
                then 'the record shows very many phones'
            -- a deal belongs to its primary contact; the others only take part
            when found.evidence = 'deal_contact'
                then 'only the primary contact of a deal joins'
            -- (looked up, not joined: the planner expects one pair, and would compare
            -- each with each)
            when
                found.evidence = 'call'
                and (
                    found.left_kind, found.left_id, found.right_kind, found.right_id
                ) in (
                    select
                        contradicted.left_kind,
                        contradicted.left_id,
                        contradicted.right_kind,
                        contradicted.right_id
                    from contradicted
                )
                then 'the browser and the phone bear two names'
            when found.evidence in ('lead_browser', 'message_browser')
                then 'the record itself joins them'
            when
                found.evidence = 'call_phone'
                and (found.left_kind, found.left_id, found.right_id) in (
                    select
                        out_of_the_blue.left_kind,
                        out_of_the_blue.left_id,
                        out_of_the_blue.right_id
                    from out_of_the_blue
                )
                then 'nobody known used the phone about that time'
            when found.confidence < {{ var('identity_min_confidence') }}
                then 'another visitor may have held the number'
        end as why_not_joining
    from found
    inner join identifiers as left_identifiers
        on
            found.left_kind = left_identifiers.kind
            and found.left_id = left_identifiers.identifier
    inner join identifiers as right_identifiers
        on
            found.right_kind = right_identifiers.kind
            and found.right_id = right_identifiers.identifier
    left join rules_both_ways as rules
        on
            found.left_kind = rules.kind
            and found.left_id = rules.identifier
            and found.right_kind = rules.other_kind
            and found.right_id = rules.other_identifier

)

select
    *,
    why_not_joining is null as is_joining
from judged
