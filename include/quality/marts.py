"""What would be shown: money and credit kept from API to mart, closed days unchanged.

Truths about one model are dbt tests;
these compare both ends of the line, or what is shown with what would be.
"""

from __future__ import annotations

from pipeline.checks import Check, between, zero

# Kopecks are exact; what is left is the sixth digit of dividing by VAT.
KOPECK = between(-0.005, 0.005)

# Days of ad spend that are shown and would be shown, where they differ.
CHANGED_DAYS = """
    with next_cost as (
        select platform, account_id, cost_date, sum(cost_amount) as cost_amount
        from marts_next.fct_ad_cost_daily
        group by platform, account_id, cost_date
    ),

    compared as (
        select
            shown_cost.platform, shown_cost.account_id, shown_cost.cost_date,
            coalesce(next_cost.cost_amount, 0) - shown_cost.cost_amount as difference
        from shown_cost
        left join next_cost using (platform, account_id, cost_date)
    )
"""

# What int_conversions says each model and date basis must add up to.
CONSERVED = """
    with results as (
        select
            attribution_model, date_basis,
            sum(leads_raw) as leads, sum(deals) as deals, sum(sales_gross) as sales,
            sum(revenue) as revenue
        from marts_next.fct_result_daily
        group by attribution_model, date_basis
    ),

    leads as (
        select count(*) as expected from touchpoints.int_leads
    ),

    deals as (
        select count(*) as expected from touchpoints.int_deals
    ),

    sales as (
        select
            count(*) filter (where line_kind = 'sale') as expected,
            coalesce(sum(line_amount), 0) as revenue
        from touchpoints.int_sale_lines
    )
"""

CHECKS = [
    Check(
        name="spend_in_marts_equals_spend_in_raw",
        severity="critical",
        why="a join that drops or doubles a row of cost changes every CPL and ROMI",
        expectation=KOPECK,
        source="yandex_direct",
        query="""
            with landed as (
                select
                    report.account_id, report.record_date as cost_date,
                    sum(coalesce(nullif(report.record ->> 'Cost', '--'), '0')::numeric)
                        as amount
                from raw.yandex_direct__keyword_performance as report
                inner join staged_loads as seen on seen.load_id = report.load_id
                where report.deleted_load_id is null
                group by report.account_id, report.record_date
            ),

            built as (
                select
                    costs.account_id, costs.cost_date,
                    sum(
                        case
                            when accounts.vat_included then costs.cost_amount_with_vat
                            else costs.cost_amount
                        end
                    ) as amount
                from marts_next.fct_ad_cost_daily as costs
                inner join ops.accounts
                    on
                        accounts.source = costs.platform
                        and accounts.account_id = costs.account_id
                where costs.platform = 'yandex_direct'
                group by costs.account_id, costs.cost_date
            )

            select
                format('yandex_direct/%%s %%s', account_id, cost_date) as subject,
                coalesce(built.amount, 0) - coalesce(landed.amount, 0) as value
            from landed
            full outer join built using (account_id, cost_date)
        """,
    ),
    Check(
        name="spend_agrees_with_the_accounts_own_report",
        severity="critical",
        why="keywords must add up to what the platform says the campaigns cost",
        expectation=between(-0.01, 0.01),
        source="yandex_direct",
        query="""
            with by_keyword as (
                select
                    account_id, record_date,
                    sum(coalesce(nullif(record ->> 'Cost', '--'), '0')::numeric) as cost
                from raw.yandex_direct__keyword_performance
                where deleted_load_id is null
                group by account_id, record_date
            ),

            by_campaign as (
                select
                    account_id, record_date,
                    sum(coalesce(nullif(record ->> 'Cost', '--'), '0')::numeric) as cost
                from raw.yandex_direct__campaign_performance
                where deleted_load_id is null
                group by account_id, record_date
            )

            select
                format('yandex_direct/%%s %%s', account_id, record_date) as subject,
                (coalesce(by_keyword.cost, 0) - coalesce(by_campaign.cost, 0))
                / greatest(by_campaign.cost, 1) as value
            from by_campaign
            full outer join by_keyword using (account_id, record_date)
            where record_date >= %(date_from)s and record_date < %(date_to)s
        """,
    ),
    Check(
        name="deals_in_touchpoints_are_the_deals_of_the_crm",
        severity="critical",
        why="a deal that is lost or doubled on the way changes revenue",
        expectation=KOPECK,
        source="bitrix24",
        query="""
            with landed as (
                select
                    deals.account_id, count(*) as deals,
                    sum(coalesce(nullif(deals.record ->> 'OPPORTUNITY', ''), '0')::numeric)
                        as amount
                from raw.bitrix24__deals as deals
                inner join staged_loads as seen on seen.load_id = deals.load_id
                where deals.deleted_load_id is null
                group by deals.account_id
            ),

            built as (
                select
                    deals.account_id, count(*) as deals,
                    sum(
                        case
                            when accounts.vat_included then deals.amount_with_vat
                            else deals.amount
                        end
                    ) as amount
                from touchpoints.int_deals as deals
                inner join ops.accounts
                    on
                        accounts.source = deals.crm
                        and accounts.account_id = deals.account_id
                where deals.crm = 'bitrix24'
                group by deals.account_id
            )

            select
                format('bitrix24/%%s %%s', account_id, measures.name) as subject,
                measures.difference as value
            from landed
            full outer join built using (account_id)
            cross join lateral (
                values
                ('deals', coalesce(built.deals, 0) - coalesce(landed.deals, 0)),
                ('amount', coalesce(built.amount, 0) - coalesce(landed.amount, 0))
            ) as measures (name, difference)
        """,
    ),
    Check(
        name="revenue_is_conserved_by_every_model",
        severity="critical",
        why="a model may move revenue between channels, never make or lose any",
        expectation=KOPECK,
        query=CONSERVED
        + """
            select
                format('%%s %%s', results.attribution_model, results.date_basis)
                    as subject,
                results.revenue - sales.revenue as value
            from results
            cross join sales
        """,
    ),
    Check(
        name="credit_is_conserved_by_every_model",
        severity="critical",
        why="each lead, deal and sale is given away once, whatever the model",
        expectation=between(-0.000001, 0.000001),
        query=CONSERVED
        + """
            select
                format(
                    '%%s %%s %%s', results.attribution_model, results.date_basis,
                    measures.name
                ) as subject,
                measures.difference as value
            from results
            cross join leads
            cross join deals
            cross join sales
            cross join lateral (
                values
                ('leads', results.leads - leads.expected),
                ('deals', results.deals - deals.expected),
                ('sales', results.sales - sales.expected)
            ) as measures (name, difference)
        """,
    ),
    Check(
        name="money_is_of_one_currency",
        severity="critical",
        why="nothing converts money yet: roubles and euros would be added up as if alike",
        expectation=zero,
        query="""
            with money as (
                select
                    crm || '/' || account_id || ' sales' as place, currency_code,
                    count(*) as amounts
                from touchpoints.int_deals
                where semantic = 'won' and amount <> 0
                group by crm, account_id, currency_code
                union all
                select
                    platform || '/' || account_id || ' costs', currency_code, count(*)
                from marts_next.fct_ad_cost_daily
                where cost_amount <> 0
                group by platform, account_id, currency_code
            ),

            usual as (
                select currency_code from money
                group by currency_code
                order by sum(amounts) desc, currency_code
                limit 1
            )

            select
                format('%%s in %%s', money.place, money.currency_code) as subject,
                case
                    when money.currency_code = usual.currency_code then 0
                    else money.amounts
                end as value
            from money
            cross join usual
        """,
        may_be_empty=True,  # nothing spent and nothing sold
    ),
    Check(
        name="performance_shows_the_whole_cost_once",
        severity="critical",
        why="the dashboard reads one model and one basis: each must hold all the cost",
        expectation=KOPECK,
        query="""
            select
                format('%%s %%s', attribution_model, date_basis) as subject,
                sum(cost_amount) - (
                    select coalesce(sum(cost_amount), 0)
                    from marts_next.fct_ad_cost_daily
                ) as value
            from marts_next.performance_daily
            -- one crossing lays the cost under every model: one stands for all
            where attribution_model = 'linear'
            group by attribution_model, date_basis
        """,
    ),
    Check(
        name="closed_spend_is_unchanged",
        severity="critical",
        why="figures that were reported months ago must not move without a person's yes",
        expectation=KOPECK,
        query=CHANGED_DAYS
        + """
            select
                format(
                    '%%s/%%s %%s', compared.platform, compared.account_id,
                    compared.cost_date
                ) as subject,
                compared.difference as value
            from compared
            where
                -- what people write down they may write down late
                compared.cost_date < %(as_of)s::date - (
                    select nullif(max(expected_streams.restate_days), 0)
                    from expected_streams
                    where
                        expected_streams.source = compared.platform
                        and expected_streams.account_id = compared.account_id
                )
        """,
        may_be_empty=True,  # nothing shown yet, or nothing that old
    ),
    Check(
        name="every_changed_cost_has_a_load_as_its_cause",
        severity="warning",
        why="a cost that changed without a load is a change of models or seeds",
        expectation=zero,
        query=CHANGED_DAYS
        + """
            select
                format('%%s/%%s %%s', platform, account_id, cost_date) as subject,
                (
                    difference <> 0 and not exists (
                        select from ops.build_loads
                        inner join ops.loads using (load_id)
                        inner join ops.load_changes using (load_id)
                        where
                            build_loads.build_id = %(build_id)s
                            and loads.source = compared.platform
                            and loads.account_id = compared.account_id
                            and load_changes.record_date = compared.cost_date
                            and load_changes.rows_new + load_changes.rows_changed
                            + load_changes.rows_gone > 0
                    )
                )::integer as value
            from compared
        """,
        may_be_empty=True,
    ),
    Check(
        name="cost_reaches_the_last_day",
        severity="warning",
        why="a day without any cost is a stopped account, or one that was not read",
        expectation=between(0, 1),
        query="""
            select
                platform || '/' || account_id || ' days behind' as subject,
                %(as_of)s::date - max(cost_date) as value
            from marts_next.fct_ad_cost_daily
            group by platform, account_id
        """,
    ),
    Check(
        name="most_sales_are_attributed",
        severity="warning",
        why="if half of the sales have no touch, identity or tags are broken",
        expectation=between(0, 0.5),
        query="""
            select
                'share of sales without a touch, last 30 days' as subject,
                coalesce(
                    sum(sales) filter (where channel = '(not attributed)'), 0
                ) / nullif(sum(sales), 0) as value
            from marts_next.fct_result_daily
            where
                attribution_model = 'last_touch'
                and date_basis = 'by_payment'
                and result_date > %(as_of)s::date - 30
            having sum(sales) > 0
        """,
        may_be_empty=True,  # a month without a sale
    ),
    Check(
        name="most_cost_has_visits",
        severity="warning",
        why="cost whose visits are not found is tags that lost their ids",
        expectation=between(0, 0.3),
        query="""
            select
                platform || '/' || account_id || ' share of cost without visits'
                    as subject,
                coalesce(sum(cost_without_visits_amount), 0) / sum(cost_amount) as value
            from marts_next.performance_daily
            where
                attribution_model = 'last_touch'
                and date_basis = 'by_click'
                and date >= %(date_from)s and date < %(date_to)s
            group by platform, account_id
            -- radio and leaflets have no clicks, and nobody counts their visits
            having sum(cost_amount) > 0 and sum(clicks) > 0
        """,
        may_be_empty=True,
    ),
    Check(
        name="margin_is_below_revenue",
        severity="warning",
        why="margin above revenue is a swapped field, and ROMI would flatter",
        expectation=between(-1, 1),
        query="""
            select
                'margin / revenue by_payment' as subject,
                sum(margin) / sum(revenue) as value
            from marts_next.fct_result_daily
            where attribution_model = 'last_touch' and date_basis = 'by_payment'
            having sum(revenue) > 0 and sum(sales_without_margin) = 0
        """,
        may_be_empty=True,  # margin is not mapped
    ),
    Check(
        name="no_person_swallows_the_others",
        severity="warning",
        why="a phone of the firm that joins customers makes one person of them all",
        expectation=between(0, 0.02),
        query="""
            select
                'share of identifiers in the largest person' as subject,
                max(identifiers)::numeric / greatest(sum(identifiers), 1000) as value
            from (
                select count(*) as identifiers
                from identity.person_identifiers_assigned
                group by person_id
            ) as persons
        """,
    ),
]
