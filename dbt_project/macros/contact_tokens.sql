{#  One row per contact and token of a phone or an e-mail that its card shows.  #}
{% macro contact_tokens(crm) -%}
with

contacts as (

    select * from {{ ref('stg_' ~ crm ~ '__contacts') }}

),

phones as (

    select
        account_id,
        contact_id,
        name_token,
        created_at,
        'phone' as kind,
        jsonb_array_elements_text(phones) as token
    from contacts

),

emails as (

    select
        account_id,
        contact_id,
        name_token,
        created_at,
        'email' as kind,
        jsonb_array_elements_text(emails) as token
    from contacts

),

tokens as (

    -- one contact may show one number twice
    select * from phones
    union
    select * from emails

)

select * from tokens
{%- endmacro %}
