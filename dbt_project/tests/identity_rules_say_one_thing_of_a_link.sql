-- Whichever way round it is written, a link is named once, and wholly.
with

links as (

    select
        least(
            kind || ':' || identifier, other_kind || ':' || other_identifier
        ) as one_end,
        greatest(
            kind || ':' || identifier, other_kind || ':' || other_identifier
        ) as other_end,
        other_kind is not null and other_identifier is not null as is_whole
    from {{ ref('identity_rules') }}
    where other_kind is not null or other_identifier is not null

)

select
    one_end,
    other_end
from links
group by one_end, other_end
having count(*) > 1 or not bool_and(is_whole)
