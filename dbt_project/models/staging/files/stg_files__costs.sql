{{ staged_by_load('files', 'costs') }}

{{ written_costs('files', place='file', place_column='file_name') }}
