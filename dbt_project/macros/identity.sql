{#
    Where identifiers come from: the records of the contracts listed in the var
    `identity_sources`, each turned into rows of int_identity_evidence. A source joins by
    lines there; what it lacks of a contract's optional columns is NULL.
#}

{#  Rows of evidence of one contract and source, from the CTE of its staged rows.  #}
{% macro evidence_of(each, staged) -%}
    {%- set contract = each['contract'] -%}
    {%- set contracts = {
        'visits': ['visit', 'visit_id', 'started_at'],
        'calls': ['call', 'call_id', 'called_at'],
        'messages': ['message', 'message_id', 'sent_at'],
        'leads': ['crm_lead', 'lead_id', 'created_at'],
        'deals': ['crm_deal', 'deal_id', 'created_at'],
        'contacts': ['crm_contact', 'contact_id', 'created_at'],
        'deal_contacts': ['crm_contact', 'contact_id', none],
        'offline_sales': ['sale', 'sale_id', 'sold_at'],
    } -%}
    {%- set hub_kind, hub_column, moment = contracts.get(
        contract, ['there_is_no_such_contract', 'there_is_no_such_contract', none]
    ) -%}

    {#- optional columns, and the ids of the vendor's objects, as SQL -#}
    {%- set own = each['columns'] or [] -%}
    {%- set opt, ident = {}, {} -%}
    {%- for name in [
        'client_id', 'ym_client_id', 'ga_client_id', 'gclid', 'fbclid', 'yclid',
        'name_token', 'caller_phone'
    ] -%}
        {%- do opt.update({
            name: staged ~ '.' ~ name if name in own else 'null::text'
        }) -%}
    {%- endfor -%}
    {%- for name in [
        'visitor_id', 'contact_id', 'visit_id', 'session_id', 'lead_id', hub_column
    ] -%}
        {%- do ident.update({
            name: crm_identifier(
                staged ~ '.account_id', staged ~ '.' ~ name, crm=each['source']
            ) if name in own or name == hub_column else 'null::text'
        }) -%}
    {%- endfor -%}
    {%- set hub = ident[hub_column] -%}
    {%- set ym = opt['client_id'] if contract == 'visits' else opt['ym_client_id'] -%}
    {%- set visitor, ga = ident['visitor_id'], opt['ga_client_id'] -%}
    {#- the browser by its most lasting name -#}
    {%- set browser_kind -%}
        case
            when {{ ym }} is not null then 'ym_client_id'
            when {{ visitor }} is not null then 'visitor'
            when {{ ga }} is not null then 'ga_client_id'
        end
    {%- endset -%}
    {%- set browser = 'coalesce(' ~ ym ~ ', ' ~ visitor ~ ', ' ~ ga ~ ')' -%}
    {%- set clicks = ['gclid', 'fbclid', 'yclid'] | select('in', own) | list -%}

    {#- (left kind, left id, right kind, right id, evidence) -#}
    {%- set pairs = [] -%}
    {%- set browsers = [('ym_client_id', ym), ('visitor', visitor), ('ga_client_id', ga)] -%}
    {%- set way = {
        'visits': 'visit', 'calls': 'call_browser', 'messages': 'message',
        'leads': 'lead_client_id', 'deals': 'deal_client_id',
    }.get(contract) -%}
    {%- if way -%}
        {%- for kind, id in browsers if id != 'null::text' -%}
            {%- do pairs.append(("'" ~ hub_kind ~ "'", hub, kind, id, way)) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for name in clicks -%}
        {%- set click = "'" ~ name ~ ":' || " ~ opt[name] -%}
        {%- if contract == 'visits' -%}
            {%- do pairs.append((browser_kind, browser, 'click', click, 'visit_click')) -%}
        {%- else -%}
            {%- do pairs.append(("'crm_lead'", hub, 'click', click, 'lead_click')) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if contract == 'calls' -%}
        {%- set phone = opt['caller_phone'] -%}
        {%- do pairs.append((browser_kind, browser, 'phone', phone, 'call')) -%}
        {#- a call has one owner: the browser it surely came from, else the phone's -#}
        {%- do pairs.append((
            "'call'", hub, 'phone',
            'case when ' ~ browser ~ ' is null or call_confidence.confidence < '
            ~ var('identity_min_confidence') ~ ' then ' ~ phone ~ ' end', 'call_phone',
        )) -%}
    {%- endif -%}
    {%- set visit = {'calls': ident['session_id'], 'messages': ident['visit_id']} -%}
    {%- if contract in visit and visit[contract] != 'null::text' -%}
        {%- do pairs.append((
            "'" ~ hub_kind ~ "'", hub, 'visit', visit[contract],
            {'calls': 'call_visit', 'messages': 'message'}[contract],
        )) -%}
    {%- endif -%}
    {%- for kind, to, way in [
        ('leads', 'contact_id', 'lead_contact'),
        ('deals', 'contact_id', 'deal_primary_contact'),
        ('deals', 'lead_id', 'deal_lead'),
        ('contacts', 'lead_id', 'contact_made_from_lead'),
    ] if kind == contract and ident[to] != 'null::text' -%}
        {%- if to == 'contact_id' -%}
            {%- do pairs.append(("'crm_contact'", ident[to], hub_kind, hub, way)) -%}
        {%- else -%}
            {%- do pairs.append(("'" ~ hub_kind ~ "'", hub, 'crm_lead', ident[to], way)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if contract == 'deal_contacts' -%}
        {%- set deal = crm_identifier(
            staged ~ '.account_id', staged ~ '.deal_id', crm=each['source']
        ) -%}
        {%- do pairs.append(("'crm_contact'", hub, 'crm_deal', deal, 'deal_contact')) -%}
    {%- endif -%}
    {%- set lists = [('phones', 'phone'), ('emails', 'email')] -%}
    {%- set word = {
        'messages': 'message', 'leads': 'lead', 'contacts': 'contact', 'deals': 'deal',
        'offline_sales': 'sale',
    }.get(contract) -%}

    select
        '{{ each["source"] }}' as source,
        '{{ contract }}' as contract,
        {{ staged }}.account_id,
        {{ staged }}.record_key,
        {{ staged ~ '.' ~ moment if moment else 'null::timestamptz' }} as seen_at,
        coalesce(pairs.left_kind, '{{ hub_kind }}') as left_kind,
        {{ bounded('coalesce(pairs.left_id, ' ~ hub ~ ')') }} as left_id,
        pairs.right_kind,
        {{ bounded('pairs.right_id') }} as right_id,
        -- when nothing else is in the record
        coalesce(pairs.evidence, 'seen') as evidence,
        {{ opt['name_token'] }} as name_token,
        {% if contract == 'calls' -%}
        case
            when pairs.evidence like 'call%' and pairs.evidence <> 'call_phone'
                then coalesce(call_confidence.confidence, 1)
            else 1
        end::real
        {%- else -%}
        1::real
        {%- endif %} as confidence
    from {{ staged }}
    {% if contract == 'calls' -%}
    left join call_confidence
        on
            {{ staged }}.account_id = call_confidence.account_id
            and {{ staged }}.record_key = call_confidence.record_key
            and call_confidence.source = '{{ each["source"] }}'
    {%- endif %}
    left join lateral (
        select *
        from (
            {%- for left_kind, left_id, right_kind, right_id, evidence in pairs %}
            {{ 'values' if loop.first }}
            (
                {{ left_kind }}, {{ left_id }},
                '{{ right_kind }}', {{ right_id }}, '{{ evidence }}'
            )
            {{- ',' if not loop.last }}
            {%- endfor %}
            {%- if not pairs %}
            select null, null, null, null, null
            {%- endif %}
            {%- for column, kind in lists if column in own %}
            union all
            select
                '{{ hub_kind }}', {{ hub }}, '{{ kind }}',
                jsonb_array_elements_text({{ staged }}.{{ column }}),
                '{{ word }}_{{ kind }}'
            {%- endfor %}
            {%- if contract in ('leads', 'messages') and 'phones' in own %}
            union all
            select
                {{ browser_kind }}, {{ browser }}, 'phone',
                jsonb_array_elements_text({{ staged }}.phones), '{{ word }}_browser'
            {%- endif %}
        ) as listed (left_kind, left_id, right_kind, right_id, evidence)
        where left_id is not null and right_id is not null
    ) as pairs on true
    where {{ hub }} is not null
{%- endmacro %}


{#  A text that fits an index: what no vendor means as an id goes by its hash.  #}
{% macro bounded(identifier) -%}
    case
        when length({{ identifier }}) > 200 then 'too-long:' || md5({{ identifier }})
        else {{ identifier }}
    end
{%- endmacro %}


{#
    Days whose calls a build rates again: those on which its loads changed calls, visits
    or leases, as landing counted them, so also the day that a moved record left and that
    of one which is gone. Landing's days are the account's, ours may be the one before or
    after; and a visit is called from on the next day, too. Where a lease ended before it
    was changed nobody knows: at most number_lease_days after its start.
#}
{% macro call_days_of_this_build() -%}
    any(
        array(
            select changes.record_date + apart
            from {{ source('ops', 'load_changes') }} as changes
            inner join {{ source('ops', 'loads') }} as loads
                on changes.load_id = loads.load_id
            inner join (
                values
                {%- for each in var('identity_sources')
                    if each['contract'] in ('visits', 'calls', 'number_leases') %}
                {{- ', ' if not loop.first }}
                (
                    '{{ each["source"] }}',
                    '{{ each["stream"] or each["contract"] }}',
                    {{ var('number_lease_days') if each['contract'] == 'number_leases'
                        else 0 }}
                )
                {%- endfor %}
            ) as streams (source, stream, lasting)
                on loads.source = streams.source and loads.stream = streams.stream
            cross join lateral generate_series(-1, streams.lasting + 2) as apart
            where changes.load_id = {{ loads_of_this_build() }}
            group by changes.record_date + apart
        )
    )
{%- endmacro %}


{#
    Which staged rows of a contract a build has to look at again: its own, and calls of
    the days whose calls, visits or leases it changed.
#}
{% macro staged_in_build(each) -%}
    {%- if is_incremental() and each['changes'] == 'load' %}
    where
        load_id = {{ loads_of_this_build() }}
        {%- if each['contract'] == 'calls' %}
        or call_date = {{ call_days_of_this_build() }}
        {%- endif %}
    {%- endif %}
{%- endmacro %}


{#  Before calls are rated again: out with those that are gone or have no browser now.  #}
{% macro remove_rated_calls() -%}
    {%- if is_incremental() %}
    delete from {{ this }} where call_date = {{ call_days_of_this_build() }}
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#  A further step for calls: how sure it is who called.  #}
{% macro call_confidence_of(each) -%}
    {%- if each['contract'] == 'calls' -%}
    , call_confidence as (select * from {{ ref('int_call_confidence') }})
    {%- endif %}
{%- endmacro %}


{#  All evidence of the records a build has to look at; all records in a full one.  #}
{% macro evidence_of_build() -%}
    {%- for each in var('identity_sources') if each['contract'] != 'number_leases' %}
    (
        with staged as (
            select * from {{ ref('stg_' ~ each['source'] ~ '__' ~ each['contract']) }}
            {{- staged_in_build(each) }}
        ){{ call_confidence_of(each) }}

        {{ evidence_of(each, 'staged') }}
    )
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
{%- endmacro %}


{#
    Two rows of evidence of one source and contract say the same. Where both are known,
    to compare them too would make the planner believe in a handful of rows.
#}
{% macro same_words(one, other) -%}
    {{ one }}.account_id = {{ other }}.account_id
    and {{ one }}.record_key = {{ other }}.record_key
    and {{ one }}.left_id = {{ other }}.left_id
    and {{ one }}.evidence = {{ other }}.evidence
    and {{ one }}.left_kind = {{ other }}.left_kind
    {%- for column in [
        'right_kind', 'right_id', 'seen_at', 'name_token', 'confidence'
    ] %}
    and {{ one }}.{{ column }} is not distinct from {{ other }}.{{ column }}
    {%- endfor %}
{%- endmacro %}


{#
    Before new evidence comes: out with what the build's records no longer say, and with
    the records that are gone. Those are looked for only where a load found any.
#}
{% macro remove_stale_evidence() -%}
    {%- if is_incremental() %}
    {%- for each in var('identity_sources') if each['contract'] != 'number_leases' %}
    {%- set staged = ref('stg_' ~ each['source'] ~ '__' ~ each['contract']) %}
    with said as materialized (
        with staged as (select * from {{ staged }} {{ staged_in_build(each) }})
        {{- call_confidence_of(each) }}

        {{ evidence_of(each, 'staged') }}
    )

    delete from {{ this }} as kept
    where
        kept.source = '{{ each["source"] }}'
        and kept.contract = '{{ each["contract"] }}'
        {%- if each['changes'] == 'load' %}
        and (kept.account_id, kept.record_key) in (
            select account_id, record_key from {{ staged }} {{- staged_in_build(each) }}
        )
        {%- endif %}
        and not exists (select from said where {{ same_words('kept', 'said') }});
    {%- if each['changes'] == 'load' %}

    delete from {{ this }} as kept
    where
        kept.source = '{{ each["source"] }}'
        and kept.contract = '{{ each["contract"] }}'
        and exists (
            select from {{ source('ops', 'loads') }}
            where
                source = '{{ each["source"] }}' and rows_gone > 0
                and load_id = {{ loads_of_this_build() }}
        )
        and not exists (
            select from {{ staged }} as staged
            where
                staged.account_id = kept.account_id
                and staged.record_key = kept.record_key
        );
    {%- endif %}
    {%- endfor %}
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#  The key that `identify` looks up: what it asks for stands in the index itself.  #}
{% macro index_nodes() -%}
    {%- if is_incremental() -%}
        select 1
    {%- else -%}
        create unique index on {{ this }} (node_id) include (first_seen_at)
    {%- endif -%}
{%- endmacro %}


{#  From now on the table's changes are noted for the step identify.  #}
{% macro note_changes_of(what) -%}
    {%- if is_incremental() -%}
        select 1
    {%- else -%}
        call identity.note_changes('{{ this }}'::regclass, '{{ what }}')
    {%- endif -%}
{%- endmacro %}


{#
    Changed identifiers that no evidence names: those of the seed of rules, then and now;
    own numbers and placeholders that were not known as such; all, when a limit changed.
#}
{% macro note_changed_rules() -%}
    {%- set rules, facts = ref('identity_rules'), source('identity', 'token_facts') %}
    {%- set judged = adapter.get_relation(
        database=this.database, schema=this.schema, identifier='int_identifiers'
    ) if execute -%}
    {%- if is_incremental() and judged is not none %}
    insert into identity.changed_identifiers (kind, identifier)
    select kind, identifier from {{ rules }}
    union
    select other_kind, other_identifier from {{ rules }}
    where other_identifier is not null
    union
    select kind, identifier from identity.rules_applied
    union
    select facts.kind, facts.token
    from {{ facts }} as facts
    inner join {{ judged }} as known
        on facts.kind = known.kind and facts.token = known.identifier
    where
        (facts.is_own_number or facts.is_placeholder)
        and known.standing <> 'quarantined'
        and known.rule is null
    union
    select known.kind, known.identifier
    from {{ judged }} as known
    where (
        select limits is distinct from '{{ identity_limits() }}'
        from identity.identify_state
    )
    on conflict do nothing
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#  The limits in one text.  #}
{% macro identity_limits() -%}
    {%- for name in [
        'identifier_max_contacts', 'identifier_max_client_ids', 'identity_min_confidence',
        'identity_nameless_days'
    ] -%}
    {{ name }}={{ var(name) }};
    {%- endfor -%}
{%- endmacro %}


{#  The rules are applied when the edges are judged.  #}
{% macro note_rules_applied() -%}
    truncate identity.rules_applied;
    insert into identity.rules_applied (kind, identifier)
    select kind, identifier from {{ ref('identity_rules') }}
    union
    select other_kind, other_identifier from {{ ref('identity_rules') }}
    where other_identifier is not null;
    update identity.identify_state set limits = '{{ identity_limits() }}'
{%- endmacro %}


{#
    What a full refresh finds in the table it replaces: the numbers of identifiers stay,
    and identify learns what each was.
#}
{% macro note_replaced_nodes() -%}
    {%- if not is_incremental() and load_relation(this) is not none %}
    insert into identity.changed_nodes (node_id, kind, identifier, was_first_seen_at)
    select node_id, kind, identifier, first_seen_at from {{ this }}
    on conflict do nothing
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#  Out with the rows about changed identifiers: the model writes them again.  #}
{% macro remove_changed(kind, identifier) -%}
    {%- if is_incremental() %}
    delete from {{ this }} as kept
    using identity.changed_identifiers as changed
    where kept.{{ identifier }} = changed.identifier and kept.{{ kind }} = changed.kind
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#
    Edges between namesakes hang on the number they share: when one of them changed, the
    number is looked at again.
#}
{% macro note_changed_namesakes() -%}
    {%- if is_incremental() %}
    insert into identity.changed_identifiers (kind, identifier)
    select kept.via_kind, kept.via_id
    from {{ this }} as kept
    inner join identity.changed_identifiers as changed
        on
            (kept.left_id = changed.identifier and kept.left_kind = changed.kind)
            or (kept.right_id = changed.identifier and kept.right_kind = changed.kind)
    where kept.via_id is not null
    on conflict do nothing
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#  Out with changed identifiers that no record shows any more.  #}
{% macro remove_unseen() -%}
    {%- if is_incremental() %}
    delete from {{ this }} as kept
    using identity.changed_identifiers as changed
    where
        kept.identifier = changed.identifier
        and kept.kind = changed.kind
        and not exists (
            select from {{ ref('int_identity_evidence') }} as evidence
            where
                evidence.left_id = kept.identifier and evidence.left_kind = kept.kind
        )
        and not exists (
            select from {{ ref('int_identity_evidence') }} as evidence
            where
                evidence.right_id = kept.identifier and evidence.right_kind = kept.kind
        )
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#  Only what is about changed identifiers, of the step `changed`; all in a full build.  #}
{% macro only_changed(kind, identifier) -%}
    {%- if is_incremental() -%}
    inner join changed
        on
            {{ identifier }} = changed.identifier
            and {{ kind }} = changed.kind
    {%- endif %}
{%- endmacro %}


{#  And the evidence whose other end changed.  #}
{% macro or_changed(kind, identifier) -%}
    {%- if is_incremental() -%}
    union
    select evidence.*
    from evidence
    {{ only_changed(kind, identifier) }}
    {%- endif %}
{%- endmacro %}


{#  What the table of evidence does not hold yet.  #}
{% macro is_not_kept(said) -%}
    {%- if is_incremental() -%}
    not exists (
        select from {{ this }} as kept
        where
            kept.source = {{ said }}.source
            and kept.contract = {{ said }}.contract
            and {{ same_words(said, 'kept') }}
    )
    {%- else -%}
    true
    {%- endif %}
{%- endmacro %}


{#  The number an identifier has, in this table or the one it replaces, or a new one.  #}
{% macro node_id_of(row) -%}
    coalesce(
        {%- if execute and this is not none and load_relation(this) is not none %}
        (
            select known.node_id from {{ this }} as known
            where known.kind = {{ row }}.kind and known.identifier = {{ row }}.identifier
        ),
        {%- endif %}
        nextval('identity.node_serials') * 64 + {{ row }}.kind_code
    )
{%- endmacro %}


{#  A visit may be called from on its day and the next: only those of the calls' days.  #}
{% macro is_near_rated(visit_date) -%}
    {%- if is_incremental() -%}
    {{ visit_date }} = any(
        array(
            select tracked.call_date - days_before
            from tracked
            cross join generate_series(0, 1) as days_before
            group by tracked.call_date - days_before
        )
    )
    {%- else -%}
    true
    {%- endif %}
{%- endmacro %}


{#
    Browser and moments of visits or calls of every source, for who held a number.
    `shown_by` is who shows numbers to a visit: a tracker that has visits of its own shows
    them to these, of the same account. Any other shows them to visits that counters saw;
    which counter stands on which tracker's site, nobody tells.
#}
{% macro held_by(contract) -%}
    {%- set visitors, trackers = [], [] -%}
    {%- for each in var('identity_sources') -%}
        {%- do visitors.append(each['source']) if each['contract'] == 'visits' -%}
        {%- do trackers.append(each['source']) if each['contract'] == 'calls' -%}
    {%- endfor -%}
    {%- for each in var('identity_sources') if each['contract'] == contract %}
    {%- set own = each['columns'] or [] %}
    {%- set ym = 'client_id' if contract == 'visits' else 'ym_client_id' %}
    {%- set names = [ym, 'visitor_id', 'ga_client_id'] | select('in', own) | list %}
    (
        select
            '{{ each["source"] }}' as source,
            account_id,
            record_key,
            {% if each['source'] in visitors and each['source'] in trackers -%}
            '{{ each["source"] }}:' || account_id
            {%- else -%}
            'a counter'
            {%- endif %} as shown_by,
            {% if names | length > 1 -%}
            coalesce({{ names | join(', ') }})
            {%- else -%}
            {{ names | first or 'null::text' }}
            {%- endif %} as browser,
            {% if contract == 'visits' -%}
            visit_date,
            started_at,
            started_at + make_interval(secs => coalesce(duration_s, 0)) as ended_at
            {%- else -%}
            {% for name in ['ym_client_id', 'visitor_id'] -%}
            {{ name if name in own else 'null::text' }} as {{ name }},
            {% endfor -%}
            called_at,
            call_date,
            phone_number
            {%- endif %}
        from {{ ref('stg_' ~ each['source'] ~ '__' ~ contract) }}
        {{ staged_in_build(each) if contract == 'calls' }}
    )
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- else %}
    select
        null::text as source,
        null::text as account_id,
        null::text as record_key,
        null::text as shown_by,
        null::text as browser,
        null::date as visit_date,
        null::timestamptz as {{ 'started_at' if contract == 'visits' else 'called_at' }},
        null::timestamptz as ended_at,
        null::text as ym_client_id,
        null::text as visitor_id,
        null::date as call_date,
        null::text as phone_number
    where false
    {%- endfor %}
{%- endmacro %}


{#  Whether anybody's identifiers may have changed: then the whole table is written.  #}
{% macro are_all_touched() -%}
    {%- if execute and is_incremental() -%}
        {%- do return(run_query(
            'select are_all_touched from identity.identify_state'
        ).columns[0].values()[0]) -%}
    {%- endif -%}
    {%- do return(true) -%}
{%- endmacro %}


{#  The identifiers that are somebody's, with the person of each: of touched persons.  #}
{% macro assigned_of_build() -%}
    {%- if are_all_touched() -%}
    select * from {{ source('identity', 'person_identifiers_assigned') }}
    {%- else -%}
    select
        persons.kind || ':' || persons.identifier as person_id,
        identifiers.kind,
        identifiers.identifier,
        identifiers.first_seen_at,
        members.node_id,
        members.person_node
    from identity.nodes_of_persons(
        array(select distinct person_node from identity.touched_persons)
    ) as members
    inner join identifiers on members.node_id = identifiers.node_id
    inner join identifiers as persons on members.person_node = persons.node_id
    {%- endif -%}
{%- endmacro %}


{#
    Whoever held a shared identifier that was judged again, and whoever holds it now, is
    touched as well. Nobody may note more between our reading of the notes and their end.
#}
{% macro note_touched_holders() -%}
    {%- if is_incremental() %}
    lock table identity.touched_persons, identity.touched_shared,
    identity.identify_state in share row exclusive mode;

    insert into identity.touched_persons (person_node)
    select kept.person_node
    from {{ this }} as kept
    inner join identity.touched_shared as shared
        on kept.kind = shared.kind and kept.identifier = shared.identifier
    union
    select persons.person_node
    from identity.persons_of_nodes(array(
        select holders.node_id
        from identity.touched_shared as shared
        inner join {{ ref('int_identity_evidence') }} as evidence
            on
                shared.identifier = evidence.right_id
                and shared.kind = evidence.right_kind
        inner join {{ ref('int_identifiers') }} as holders
            on
                evidence.left_id = holders.identifier
                and evidence.left_kind = holders.kind
    )) as persons
    where persons.person_node is not null;

    analyze identity.touched_persons
    {%- else %}
    select 1
    {%- endif %}
{%- endmacro %}


{#
    The strategy by which int_person_identifiers is written: of the rows of touched
    persons only those that differ. Two nodes say for good who has what.
#}
{% macro get_incremental_touched_persons_sql(arguments) -%}
    {%- set kept, made = arguments['target_relation'], arguments['temp_relation'] -%}
    {%- set columns = get_quoted_csv(
        arguments['dest_columns'] | map(attribute='name')
    ) -%}
    delete from {{ kept }} as kept
    where
        {%- if not are_all_touched() %}
        kept.person_node in (select person_node from identity.touched_persons) and
        {%- endif %}
        not exists (
            select from {{ made }} as made
            where
                kept.person_node = made.person_node
                and kept.node_id = made.node_id
                and kept.is_shared = made.is_shared
                and kept.first_seen_at is not distinct from made.first_seen_at
        );

    insert into {{ kept }} ({{ columns }})
    select {{ columns }}
    from {{ made }} as made
    where not exists (
        select from {{ kept }} as kept
        where
            made.person_node = kept.person_node
            and made.node_id = kept.node_id
    )
{%- endmacro %}


{#  The rows of touched persons are written.  #}
{% macro forget_touched() -%}
    truncate identity.touched_persons, identity.touched_shared;
    update identity.identify_state set are_all_touched = false
{%- endmacro %}


{#  What a browser that may have held a number weighs when somebody calls it.  #}
{% macro nearness(ended_at, called_at) -%}
    case
        when {{ ended_at }} >= {{ called_at }} then 1
        else 0.1 * exp(-extract(epoch from {{ called_at }} - {{ ended_at }}) / 300)
    end
{%- endmacro %}


{#  Whom was which number shown, and how long: the logs of every source that has one.  #}
{% macro number_leases() -%}
    {%- for each in var('identity_sources') if each['contract'] == 'number_leases' %}
    select
        phone_number,
        ym_client_id,
        visitor_id,
        shown_from,
        shown_to
    from {{ ref('stg_' ~ each['source'] ~ '__number_leases') }}
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        null::text as phone_number,
        null::text as ym_client_id,
        null::text as visitor_id,
        null::timestamptz as shown_from,
        null::timestamptz as shown_to
    where false
    {%- endfor %}
{%- endmacro %}
