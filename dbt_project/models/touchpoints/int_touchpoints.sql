{{ config(
    indexes=[
        {'columns': ['touchpoint_id'], 'unique': true},
        {'columns': ['person_id', 'touched_at']},
    ],
    post_hook="{{ note_path_changes(
        key=['touchpoint_id'],
        person='person_id',
        touch='touchpoint_id',
        watched=[
            'person_id', 'touched_at', 'touch_date', 'channel', 'source', 'medium',
            'is_direct', 'is_paid',
        ]
    ) }}"
) }}

with

touches as (

    select * from {{ ref('int_touches_resolved') }}

),

calls as (

    select * from {{ ref('int_calls_placed') }}

),

leads as (

    select * from {{ ref('int_leads_placed') }}

),

-- a lead that telephony made is the call over again
contacts as (

    select
        touchpoint_id,
        'call' as contact_kind,
        called_at as contacted_at
    from calls

    union all

    select
        touchpoint_id,
        case contact_channel when 'form' then 'form' else 'other' end as contact_kind,
        created_at as contacted_at
    from leads
    where touchpoint_id is not null and call_id is null

),

contacts_on_touches as (

    select
        touchpoint_id,
        count(*) as contacts_count,
        (array_agg(contact_kind order by contacted_at, contact_kind))[1]
            as contact_kind
    from contacts
    group by touchpoint_id

),

touchpoints as (

    select
        touches.touchpoint_id,
        touches.person_id,
        touches.touched_at,
        touches.touch_date,
        touches.touch_kind,
        contacts_on_touches.contact_kind,
        coalesce(contacts_on_touches.contacts_count, 0) as contacts_count,
        {{ touch_columns('touches') }},
        touches.visit_id,
        touches.call_id,
        touches.lead_id,
        touches.client_id
    from touches
    left join contacts_on_touches
        on touches.touchpoint_id = contacts_on_touches.touchpoint_id

)

select * from touchpoints
