{{ written_costs_by_day('files') }}
