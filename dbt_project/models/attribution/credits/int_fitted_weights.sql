-- The weights in force: for each kind and month of conversion its newest version.
with

versions as (

    select * from {{ source('attribution', 'fitted_versions') }}
    where is_current

),

weights as (

    select * from {{ source('attribution', 'fitted_weights') }}

),

-- a conversion of any kind takes the chain that was fitted for it
kinds as (

    select
        kinds.fitted_kind,
        kinds.conversion_kind
    from (
        values
        {%- for conversion_kind, fitted_kind in pairs_of('markov_fitted_kind') %}
        ('{{ fitted_kind }}', '{{ conversion_kind }}'){{ ',' if not loop.last }}
        {%- endfor %}
    ) as kinds (fitted_kind, conversion_kind)

),

in_force as (

    select
        kinds.conversion_kind,
        versions.conversion_month,
        versions.version_id,
        versions.build_id,
        jsonb_object_agg(weights.channel, weights.removal_effect) as weights
    from versions
    inner join weights on versions.version_id = weights.version_id
    inner join kinds on versions.fitted_kind = kinds.fitted_kind
    group by
        kinds.conversion_kind,
        versions.conversion_month,
        versions.version_id,
        versions.build_id

)

select * from in_force
