{{ written_costs_by_day('google_sheets') }}
