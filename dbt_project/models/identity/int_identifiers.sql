-- Each identifier and what it may prove: a function of all current evidence about it,
-- judged before anybody is joined to anybody.
{{ config(
    tags=['identifiers'],
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['kind', 'identifier'],
    on_schema_change='fail',
    indexes=[{'columns': ['identifier', 'kind'], 'unique': true}],
    pre_hook="{{ note_replaced_nodes() }}",
    post_hook=[
        "{{ remove_unseen() }}",
        "{{ index_nodes() }}",
        "{{ note_changes_of('nodes') }}",
    ]
) }}
{% set browser_kinds = "('ym_client_id', 'ga_client_id', 'visitor')" %}

with

evidence as (

    select * from {{ ref('int_identity_evidence') }}

),

changed as (

    select * from {{ source('identity', 'changed_identifiers') }}

),

names as (

    select * from {{ ref('int_identifier_names') }}

),

rules as (

    select * from {{ ref('identity_rules') }}
    where other_identifier is null

),

token_facts as (

    select * from {{ source('identity', 'token_facts') }}

),

node_kinds as (

    select * from {{ source('identity', 'node_kinds') }}

),

sides as (

    select
        evidence.left_kind as kind,
        evidence.left_id as identifier,
        evidence.right_kind as other_kind,
        evidence.right_id as other_id,
        evidence.seen_at,
        evidence.name_token
    from evidence
    {{ only_changed('evidence.left_kind', 'evidence.left_id') }}
    union all
    select
        evidence.right_kind as kind,
        evidence.right_id as identifier,
        evidence.left_kind as other_kind,
        evidence.left_id as other_id,
        evidence.seen_at,
        evidence.name_token
    from evidence
    {{ only_changed('evidence.right_kind', 'evidence.right_id') }}
    where evidence.right_id is not null

),

seen as (

    select
        kind,
        identifier,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at,
        count(*) as times_seen
    from sides
    group by kind, identifier

),

-- whatever is seen with one other of a kind a hundred times is seen with one
pairs as (

    select
        kind,
        identifier,
        other_kind,
        other_id,
        bool_or(name_token is not null) as is_named,
        min(seen_at) as seen_at
    from sides
    where
        other_id is not null
        and (
            kind in ('phone', 'email', 'click')
            or kind in {{ browser_kinds }}
            or other_kind in ('phone', 'email')
        )
    group by kind, identifier, other_kind, other_id

),

holders as (

    select
        kind,
        identifier,
        count(*) filter (where other_kind = 'crm_contact') as contacts_count,
        count(*) filter (where other_kind in {{ browser_kinds }}) as client_ids_count,
        count(*) filter (
            where other_kind in {{ browser_kinds }} and is_named
        ) as named_client_ids_count,
        count(*) filter (where other_kind = 'crm_lead') as leads_count,
        count(*) filter (where other_kind = 'call') as calls_count,
        count(*) filter (where other_kind = 'crm_lead' and not is_named)
            as nameless_leads_count,
        max(seen_at) filter (where other_kind in ('crm_lead', 'crm_contact'))
        - min(seen_at) filter (where other_kind in ('crm_lead', 'crm_contact'))
            as holders_span,
        count(*) filter (where other_kind in ('phone', 'email')) as phones_count
    from pairs
    group by kind, identifier

),

names_borne as (

    select
        kind,
        identifier,
        count(*) filter (where is_whole) as names_count
    from names
    group by kind, identifier

),

counted as (

    select
        seen.kind,
        seen.identifier,
        seen.first_seen_at,
        seen.last_seen_at,
        seen.times_seen,
        node_kinds.code as kind_code,
        rules.rule,
        token_facts.number_type,
        token_facts.mailbox_class,
        holders.holders_span,
        coalesce(token_facts.is_own_number, false) as is_own_number,
        coalesce(token_facts.is_placeholder, false) as is_placeholder,
        coalesce(holders.contacts_count, 0) as contacts_count,
        coalesce(names_borne.names_count, 0) as names_count,
        coalesce(holders.client_ids_count, 0) as client_ids_count,
        coalesce(holders.named_client_ids_count, 0) as named_client_ids_count,
        coalesce(holders.leads_count, 0) as leads_count,
        coalesce(holders.calls_count, 0) as calls_count,
        coalesce(holders.nameless_leads_count, 0) as nameless_leads_count,
        coalesce(holders.phones_count, 0) as phones_count
    from seen
    inner join node_kinds on seen.kind = node_kinds.kind
    left join token_facts on seen.identifier = token_facts.token
    left join holders
        on
            seen.kind = holders.kind
            and seen.identifier = holders.identifier
    left join names_borne
        on
            seen.kind = names_borne.kind
            and seen.identifier = names_borne.identifier
    left join rules
        on
            seen.kind = rules.kind
            and seen.identifier = rules.identifier

),

judged as (

    select
        *,
        case
            when rule = 'forbid' then 'forbidden'
            when rule = 'allow' then null
            when identifier like 'too-long:%' then 'too_long'
            when
                split_part(identifier, ':', -1) = '-1'
                -- what is left of the last part without its edges and its zeros
                or lower(
                    btrim(
                        split_part(identifier, ':', -1),
                        e' \t\r\n\u00a0()[]{}<>$%"''/.,;_-0'
                    )
                ) in (
                    '', 'null', 'nil', 'none', 'n/a', 'nan', 'undefined', 'unknown',
                    'anonymous', 'guest', 'test', 'not set', 'not provided', 'false',
                    'true',
                    -- a template that nobody filled in: {client_id}
                    'client_id', 'clientid', 'user_id', 'userid', 'gclid', 'yclid',
                    'fbclid'
                )
                then 'placeholder'
            when
                kind not in ('phone', 'email', 'click')
                and kind not in {{ browser_kinds }}
                then null
            when is_own_number then 'own_number'
            when is_placeholder then 'placeholder'
            when number_type in ('toll_free', 'shared_cost', 'premium_rate', 'uan')
                then 'service_number'
            when mailbox_class in ('shared', 'role') then 'shared_mailbox'
            when contacts_count > {{ var('identifier_max_contacts') }}
                then 'too_many_contacts'
            when client_ids_count > {{ var('identifier_max_client_ids') }}
                then 'too_many_browsers'
            when
                kind in {{ browser_kinds }}
                and greatest(leads_count, phones_count)
                > {{ var('identifier_max_contacts') }}
                then 'too_many_contacts'
        end as quarantine_reason
    from counted

),

classified as (

    select
        kind,
        identifier,
        first_seen_at,
        last_seen_at,
        times_seen,
        kind_code,
        rule,
        quarantine_reason,
        contacts_count,
        names_count,
        client_ids_count,
        leads_count,
        phones_count,
        case
            when quarantine_reason is not null then 'quarantined'
            when kind not in ('phone', 'email', 'click') then 'strong'
            when rule = 'allow' then 'joining'
            -- whoever clicked has one browser; a copied address has several
            when kind = 'click' and client_ids_count >= 2 then 'shared'
            -- two who show one number are one person when their names agree; without a
            -- name nobody is contradicted
            when names_count >= 2 then 'shared'
            -- one of several browsers left no name with the number: it may be a second
            -- device of one person, or a second person
            when
                kind = 'phone'
                and client_ids_count >= 2
                and named_client_ids_count < client_ids_count
                then 'shared'
            -- who asks again soon is who asked; long after, without a name, it may be
            -- anybody at that phone (a card of theirs would be tied to the request)
            when
                kind = 'phone'
                and nameless_leads_count > 0
                and holders_span
                > make_interval(days => {{ var('identity_nameless_days') }})
                then 'shared'
            -- a landline is a home's or an office's: who uses it twice need not be one
            when
                number_type = 'fixed_line'
                and greatest(leads_count, client_ids_count, calls_count) >= 2
                then 'shared'
            else 'joining'
        end as standing
    from judged

)

select
    {{ node_id_of('classified') }} as node_id,
    classified.kind,
    classified.identifier,
    classified.first_seen_at,
    classified.last_seen_at,
    classified.times_seen,
    classified.standing,
    classified.quarantine_reason,
    classified.rule,
    classified.contacts_count,
    classified.names_count,
    classified.client_ids_count,
    classified.leads_count,
    classified.phones_count
from classified
