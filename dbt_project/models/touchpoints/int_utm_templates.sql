-- What the advertiser puts into the tags of a link: `utm_content={ad_id}` tells how to
-- read the utm_content of a visit.
with

ads as (

    select * from {{ ref('int_ads_known') }}

),

ad_groups as (

    select * from {{ ref('int_ad_groups_known') }}

),

links as (

    select
        platform,
        account_id,
        link_query as query
    from ads
    union all
    select
        platform,
        account_id,
        tracking_params as query
    from ad_groups

),

-- the platforms' words for one thing, in Direct's
in_one_language as (

    select
        account_id,
        {{ in_directs_words('platform', 'query') }} as query
    from links

),

queries as (

    select distinct
        account_id,
        query
    from in_one_language
    where query ~ '[{]'

),

tags as (

    select distinct
        queries.account_id,
        split_part(tags.tag, '=', 1) as parameter,
        substring(tags.tag from '=(.*)$') as tag_template
    from queries
    cross join lateral regexp_split_to_table(queries.query, '&') as tags (tag)

),

templates as (

    select
        account_id,
        parameter,
        tag_template,
        -- in the order in which they stand in the template
        array_to_string(
            array(
                select found.parts[1]
                from
                    regexp_matches(tags.tag_template, '[{]([a-z_]+)[}]', 'g')
                    with ordinality as found (parts, place)
                order by found.place
            ),
            ' '
        ) as macros,
        '^'
        || regexp_replace(
            regexp_replace(
                regexp_replace(tag_template, '([.*+?^$()|\\\[\]])', '\\\1', 'g'),
                '[{](campaign_id|ad_id|banner_id|gbid|adgroup_id|phrase_id'
                || '|criterion_id)[}]',
                '([0-9]+)',
                'g'
            ),
            '[{][a-z_]+[}]', '(.*?)', 'g'
        )
        || '$' as pattern,
        length(regexp_replace(tag_template, '[{][a-z_]+[}]', '', 'g')) as literal_length
    from tags
    where
        parameter in ('utm_campaign', 'utm_content', 'utm_term')
        and tag_template ~ '[{]'

)

select * from templates
