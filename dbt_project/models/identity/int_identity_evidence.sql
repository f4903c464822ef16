-- What each record says of two identifiers. What that is worth is judged in
-- int_identifiers and identity_edges.
{{ config(
    tags=['identifiers'],
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[
        {'columns': ['account_id', 'record_key', 'contract', 'source']},
        {'columns': ['left_id', 'left_kind']},
        {'columns': ['right_id', 'right_kind']},
    ],
    pre_hook="{{ remove_stale_evidence() }}",
    post_hook="{{ note_changes_of('identifiers') }}"
) }}

with

said as (

    {{ evidence_of_build() }}

),

new as (

    select
        source,
        contract,
        account_id,
        record_key,
        seen_at,
        left_kind,
        left_id,
        right_kind,
        right_id,
        evidence,
        name_token,
        confidence
    from said
    where {{ is_not_kept('said') }}

)

select * from new
