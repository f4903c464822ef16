with

amo_leads as (

    select * from {{ ref('stg_amocrm__amo_leads') }}

),

deals as (

    select * from {{ ref('stg_amocrm__deals') }}

),

links as (

    select
        amo_leads.account_id,
        amo_leads.amo_lead_id as deal_id,
        amo_leads.contact_id as primary_contact_id,
        amo_leads.load_id,
        link.ordinality as place,
        link.value ->> 'id' as contact_id
    from amo_leads
    cross join
        lateral
        jsonb_array_elements(
            case
                when jsonb_typeof(amo_leads.contacts) = 'array' then amo_leads.contacts
            end
        ) with ordinality as link
    inner join deals
        on
            amo_leads.account_id = deals.account_id
            and amo_leads.amo_lead_id = deals.deal_id

),

deal_contacts as (

    select
        ---------- ids
        account_id,
        load_id,
        deal_id,
        contact_id,

        ---------- numerics
        place * 10 as sort,

        ---------- booleans
        contact_id = primary_contact_id as is_primary,

        ---------- as a landed record would be named
        deal_id || '|' || contact_id as record_key
    from links
    where contact_id is not null

)

select * from deal_contacts
