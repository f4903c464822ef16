"""What arrived: freshness, volume, keys, ranges and drift of what this run landed.

Each check is one claim. Truths about a model are dbt tests; these are about a batch
that crosses the border from a vendor.
"""

from __future__ import annotations

from pipeline.checks import Check, among, between, zero

# Live rows of each stream by civil day, and what the same weekday had in the four
# weeks before: from the ledger, so that no raw table is read.
DAILY_ROWS = """
    with daily as (
        select
            loads.source, loads.account_id, loads.stream, load_changes.record_date,
            sum(load_changes.rows_new - load_changes.rows_gone) as live_rows
        from ops.load_changes
        inner join ops.loads using (load_id)
        where load_changes.record_date >= %(date_from)s::date - 28
        group by
            loads.source, loads.account_id, loads.stream, load_changes.record_date
    ),

    judged as (
        select
            expected_streams.source, expected_streams.account_id,
            expected_streams.required,
            format(
                '%%s/%%s %%s %%s', expected_streams.source, expected_streams.account_id,
                expected_streams.stream, days.record_date::date
            ) as subject,
            coalesce(daily.live_rows, 0) as live_rows,
            (
                select percentile_cont(0.5) within group (order by before.live_rows)
                from daily as before
                where
                    before.source = expected_streams.source
                    and before.account_id = expected_streams.account_id
                    and before.stream = expected_streams.stream
                    and before.record_date in (
                        days.record_date::date - 7, days.record_date::date - 14,
                        days.record_date::date - 21, days.record_date::date - 28
                    )
            ) as usual_rows
        from expected_streams
        cross join lateral generate_series(
            greatest(expected_streams.date_from, expected_streams.date_to - 7),
            expected_streams.date_to - 1,
            interval '1 day'
        ) as days (record_date)
        left join daily
            on
                daily.source = expected_streams.source
                and daily.account_id = expected_streams.account_id
                and daily.stream = expected_streams.stream
                and daily.record_date = days.record_date::date
        where expected_streams.kind = 'window'
    )
"""

LOADS = """
    select
        loads.source, loads.account_id,
        format('%%s/%%s %%s', loads.source, loads.account_id, loads.stream) as subject,
        {value} as value
    from ops.loads
    where
        loads.run_id = %(run_id)s and loads.state in ('ok', 'ok_empty') {more}
"""

# The rows of a Direct report that this run read.
DIRECT_ROWS = """
    from raw.yandex_direct__keyword_performance as report
    where
        report.deleted_load_id is null
        and report.record_date >= %(date_from)s
        and report.record_date < %(date_to)s
"""

CHECKS = [
    Check(
        name="every_stream_arrived",
        severity="critical",
        why="a day that was not read would look like a day without costs or calls",
        expectation=zero,
        query="""
            select
                expected_streams.source, expected_streams.account_id,
                format(
                    '%%s/%%s %%s: days missing', expected_streams.source,
                    expected_streams.account_id, expected_streams.stream
                ) as subject,
                case
                    when expected_streams.kind = 'window'
                        then (
                            select count(*)
                            from generate_series(
                                expected_streams.date_from,
                                expected_streams.date_to - 1, interval '1 day'
                            ) as days (day)
                            where not exists (
                                select from ops.loads
                                where
                                    loads.run_id = %(run_id)s
                                    and loads.source = expected_streams.source
                                    and loads.account_id = expected_streams.account_id
                                    and loads.stream = expected_streams.stream
                                    and loads.state in ('ok', 'ok_empty')
                                    and days.day >= loads.date_from
                                    and days.day < loads.date_to
                            )
                        )
                    else (
                        select (count(*) = 0)::integer
                        from ops.loads
                        where
                            loads.run_id = %(run_id)s
                            and loads.source = expected_streams.source
                            and loads.account_id = expected_streams.account_id
                            and loads.stream = expected_streams.stream
                            and loads.state in ('ok', 'ok_empty')
                    )
                end as value
            from expected_streams
        """,
    ),
    Check(
        name="no_usual_day_came_back_empty",
        severity="critical",
        why="a vendor that answers '200, no rows' after weeks of rows has lost something",
        expectation=between(1),
        query=DAILY_ROWS
        + """
            select source, account_id, subject, live_rows as value
            from judged where usual_rows >= 10
        """,
        may_be_empty=True,  # a new account has no usual day
    ),
    Check(
        name="volume_is_like_the_same_weekdays",
        severity="warning",
        why="40 % fewer rows than usual is a lost tag or campaign, 2.5 times more a bot",
        expectation=between(0.6, 2.5),
        query=DAILY_ROWS
        + """
            select
                source, account_id, subject, live_rows / usual_rows::numeric as value
            from judged where usual_rows >= 30
        """,
        may_be_empty=True,
    ),
    Check(
        name="amounts_equal_the_vendors_own_total",
        severity="critical",
        why="a report that lacks rows still looks whole; the account's total does not lie",
        expectation=between(-0.01, 0.01),
        query=LOADS.format(
            value="loads.amount_total - loads.control_total",
            more="and loads.control_total is not null",
        ),
        may_be_empty=True,  # not every vendor has a total
    ),
    Check(
        name="rows_belong_to_the_days_that_were_asked",
        severity="critical",
        why="a row of another day would be counted there and never replaced",
        expectation=zero,
        query=LOADS.format(
            value="""(
                select count(*) from ops.load_changes
                where
                    load_changes.load_id = loads.load_id
                    and load_changes.rows_new + load_changes.rows_changed > 0
                    and (
                        load_changes.record_date is null
                        or load_changes.record_date < loads.date_from
                        or load_changes.record_date >= loads.date_to
                    )
            )""",
            more="and loads.kind = 'window'",
        ),
        may_be_empty=True,
    ),
    Check(
        name="few_rows_disappear",
        severity="warning",
        why="vendors restate figures but seldom take whole rows back",
        expectation=between(0, 0.05),
        query=LOADS.format(
            value="loads.rows_gone::numeric / greatest(loads.rows_read, 1)", more=""
        ),
    ),
    Check(
        name="no_record_is_a_dead_letter",
        severity="warning",
        why="a dead record is counted nowhere until somebody replays it",
        expectation=zero,
        query=LOADS.format(value="loads.rows_dead", more=""),
    ),
    Check(
        name="no_rows_are_withheld_as_gone",
        severity="critical",
        why="a fifth of a window gone at once is a broken answer until a person agrees",
        expectation=zero,
        query=LOADS.format(value="loads.rows_withheld", more=""),
    ),
    Check(
        name="loads_came_without_warnings",
        severity="warning",
        why="a field the vendor added is sealed away until its class is declared",
        expectation=zero,
        query=LOADS.format(
            value="""(
                select count(*) from ops.warnings
                where warnings.load_id = loads.load_id
            )""",
            more="",
        ),
    ),
    Check(
        name="spend_is_a_number_and_never_negative",
        severity="critical",
        source="yandex_direct",
        why="a cost that is text would break staging, a negative one hides spend",
        expectation=zero,
        query="""
            select
                'yandex_direct' as source, report.account_id,
                'yandex_direct/' || report.account_id || ' bad costs' as subject,
                count(*) filter (
                    where report.record ->> 'Cost' !~ '^([0-9]+(\\.[0-9]+)?|--)$'
                    or report.record ->> 'Cost' is null
                ) as value
        """
        + DIRECT_ROWS
        + "group by report.account_id",
        may_be_empty=True,  # emptiness is judged by no_usual_day_came_back_empty
    ),
    Check(
        name="clicks_do_not_exceed_impressions",
        severity="warning",
        source="yandex_direct",
        why="the two columns have changed places, or the report mixes two grains",
        expectation=zero,
        query="""
            select
                'yandex_direct' as source, report.account_id,
                'yandex_direct/' || report.account_id || ' rows' as subject,
                count(*) filter (
                    where
                    nullif(report.record ->> 'Clicks', '--')::numeric
                    > nullif(report.record ->> 'Impressions', '--')::numeric
                ) as value
        """
        + DIRECT_ROWS
        + "group by report.account_id",
        may_be_empty=True,
    ),
    Check(
        name="placements_are_known",
        severity="warning",
        source="yandex_direct",
        why="a new kind of placement needs a channel before its cost can be shown",
        expectation=among("SEARCH", "AD_NETWORK"),
        query="""
            select distinct
                'yandex_direct' as source, report.account_id,
                'yandex_direct/' || report.account_id || ' AdNetworkType' as subject,
                coalesce(report.record ->> 'AdNetworkType', '(none)') as value
        """
        + DIRECT_ROWS,
        may_be_empty=True,
    ),
    Check(
        name="visits_carry_a_client_id",
        severity="critical",
        source="yandex_metrica",
        why="without client ids no visit belongs to anybody and no sale to an ad",
        expectation=between(0.95, 1),
        query="""
            select
                'yandex_metrica' as source, visits.account_id,
                'yandex_metrica/' || visits.account_id || ' share' as subject,
                avg(
                    (coalesce(visits.record ->> 'ym:s:clientID', '') not in ('', '0'))
                    ::integer
                ) as value
            from raw.yandex_metrica__visits as visits
            where
                visits.deleted_load_id is null
                and visits.record_date >= %(date_from)s
                and visits.record_date < %(date_to)s
            group by visits.account_id
        """,
        may_be_empty=True,
    ),
    Check(
        name="calls_last_a_plausible_time",
        severity="warning",
        source="calltouch",
        why="seconds that became milliseconds would make every call a target call",
        expectation=between(0, 4 * 3600),
        query="""
            select
                'calltouch' as source, calls.account_id,
                'calltouch/' || calls.account_id || ' longest call, s' as subject,
                max((calls.record ->> 'duration')::numeric) as value
            from raw.calltouch__calls as calls
            where
                calls.deleted_load_id is null
                and calls.record_date >= %(date_from)s
                and calls.record_date < %(date_to)s
            group by calls.account_id
        """,
        may_be_empty=True,
    ),
    Check(
        name="deals_stand_on_known_stages",
        severity="warning",
        source="bitrix24",
        why="a stage that the directory does not know is neither won nor lost",
        expectation=zero,
        query="""
            select
                'bitrix24' as source, deals.account_id,
                'bitrix24/' || deals.account_id || ' deals on unknown stages' as subject,
                count(*) filter (where statuses.record_key is null) as value
            from raw.bitrix24__deals as deals
            left join raw.bitrix24__statuses as statuses
                on
                    statuses.account_id = deals.account_id
                    and statuses.record ->> 'STATUS_ID' = deals.record ->> 'STAGE_ID'
                    and statuses.deleted_load_id is null
                    and statuses.record ->> 'ENTITY_ID' like 'DEAL_STAGE%%'
            where deals.deleted_load_id is null
            group by deals.account_id
        """,
        may_be_empty=True,
    ),
]
