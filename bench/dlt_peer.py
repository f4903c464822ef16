"""The same answers through dlt, in an environment of its own; prints JSON.

Merge on the same key, the same HTTP, the same tokens; reports go as Arrow tables, calls
as dictionaries without nesting, which are dlt's quickest ways for the two.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pyarrow.csv

from bench.cases import CASES, WINDOW, connector
from connectors.base import settings
from connectors.base.batch import TsvBatch
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser

if TYPE_CHECKING:
    from collections.abc import Iterator


def table(batch: TsvBatch) -> Any:
    """Rows as an Arrow table of text."""
    return pyarrow.csv.read_csv(
        io.BytesIO(batch.body),
        read_options=pyarrow.csv.ReadOptions(column_names=list(batch.columns)),
        parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(batch.columns, pa.string()),
            strings_can_be_null=False,
        ),
    )


def main() -> None:
    """Arguments: case, base URL, address of a database, file format, strategy, folder."""
    name, base_url, address, file_format, strategy, folder = sys.argv[1:]
    source, stream = connector(CASES[name], base_url)
    cleaner = Pseudonymiser(stream, Tokeniser(*settings.token_key()))
    rows = 0

    def pages() -> Iterator[Any]:
        nonlocal rows
        for batch in source.pages(stream, WINDOW, None):
            if isinstance(batch, TsvBatch):
                made = table(batch)
                rows += made.num_rows
                yield made
            else:
                rows += len(batch.records)
                yield [cleaner.record(record)[0] for record in batch.records]

    resource = dlt.resource(
        pages,
        name=stream.name,
        primary_key=stream.key,
        write_disposition={"disposition": "merge", "strategy": strategy},  # type: ignore[arg-type]
        max_table_nesting=0,
    )
    pipeline = dlt.pipeline(
        f"bench_{name}",
        destination=dlt.destinations.postgres(address),
        dataset_name=f"bench_{name}",
        pipelines_dir=folder,
    )
    started = time.perf_counter()
    pipeline.run(resource, loader_file_format=file_format)  # type: ignore[arg-type]
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))


if __name__ == "__main__":
    main()
