-- Whose each call is, and in which visit it was made.
with

calls as (

    select * from {{ ref('int_calls_unioned') }}

),

visits as (

    select * from {{ ref('int_visits_of_persons') }}

),

assigned as (

    select * from {{ source('identity', 'person_identifiers_assigned') }}

),

static_numbers as (

    select * from {{ ref('static_numbers') }}

),

calls_of_persons as (

    select
        calls.*,
        static_numbers.source as static_source,
        static_numbers.medium as static_medium,
        static_numbers.phone_number is not null as is_static_number,
        coalesce(by_browser.person_id, by_phone.person_id) as person_id
    from calls
    left join static_numbers
        on
            calls.phone_number = static_numbers.phone_number
            and calls.call_date
            between static_numbers.valid_from and static_numbers.valid_to
    left join assigned as by_browser
        on
            calls.browser_id = by_browser.identifier
            and calls.browser_kind = by_browser.kind
    left join assigned as by_phone
        on
            calls.caller_phone = by_phone.identifier
            and by_phone.kind = 'phone'

),

-- a number that always stands in the same place is called from there, whatever else the
-- person has open; the others are shown to a visitor. Some trackers name the visit.
calls_in_visits as (

    select distinct on (
        calls_of_persons.source, calls_of_persons.account_id, calls_of_persons.call_id
    )
        calls_of_persons.source,
        calls_of_persons.account_id,
        calls_of_persons.call_id,
        visits.visit_id,
        visits.touchpoint_id
    from calls_of_persons
    inner join visits
        on
            calls_of_persons.person_id = visits.person_id
            and calls_of_persons.called_at >= visits.started_at
            and calls_of_persons.called_at <= visits.contacts_until
    where not calls_of_persons.is_static_number
    order by
        calls_of_persons.source asc,
        calls_of_persons.account_id asc,
        calls_of_persons.call_id asc,
        (
            calls_of_persons.source = visits.source
            and calls_of_persons.tracker_visit_id
            is not distinct from visits.visit_id
        ) desc,
        (calls_of_persons.browser_id is not distinct from visits.browser_id) desc,
        visits.started_at desc,
        visits.visit_id asc

),

placed as (

    select
        calls_of_persons.source,
        calls_of_persons.account_id,
        calls_of_persons.call_id,
        calls_of_persons.person_id,
        calls_of_persons.called_at,
        calls_of_persons.call_date,
        calls_of_persons.caller_phone,
        calls_of_persons.client_id,
        calls_of_persons.phone_number,
        calls_of_persons.is_static_number,
        calls_of_persons.static_source,
        calls_of_persons.static_medium,
        calls_of_persons.source_name,
        calls_of_persons.medium,
        calls_of_persons.keyword,
        calls_of_persons.utm_source,
        calls_of_persons.utm_medium,
        calls_of_persons.utm_campaign,
        calls_of_persons.utm_content,
        calls_of_persons.utm_term,
        calls_of_persons.yclid,
        calls_of_persons.direct_campaign_id,
        calls_of_persons.direct_ad_group_id,
        calls_of_persons.direct_ad_id,
        calls_of_persons.direct_criterion_id,
        calls_of_persons.duration_s,
        calls_of_persons.wait_s,
        calls_of_persons.is_successful,
        calls_of_persons.is_unique_by_tracker,
        calls_of_persons.is_unique_target_by_tracker,
        calls_of_persons.is_callback,
        calls_of_persons.manager,
        calls_of_persons.tags,
        calls_in_visits.visit_id,
        coalesce(
            calls_in_visits.touchpoint_id,
            {{ surrogate_key([
                "'call'", 'calls_of_persons.account_id', 'calls_of_persons.call_id',
            ]) }}
        ) as touchpoint_id
    from calls_of_persons
    left join calls_in_visits
        on
            calls_of_persons.source = calls_in_visits.source
            and calls_of_persons.account_id = calls_in_visits.account_id
            and calls_of_persons.call_id = calls_in_visits.call_id

)

select * from placed
