{{ staged_by_load('google_sheets', 'costs') }}

{{ written_costs('google_sheets', place='sheet', place_column='sheet') }}
