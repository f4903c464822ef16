"""The files that people keep, judged before anything is built from them.

A seed is dbt_project/seeds/<name>.csv; <name>.yml beside it says of what types its
columns are and which tests hold. What dbt would say of a bad file comes late and names
neither the line nor the column.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# what Postgres reads as a boolean
_BOOLEANS = {"true", "false", "t", "f", "yes", "no", "1", "0"}


@dataclass(frozen=True)
class Row:
    """One row of a seed: the line it begins on, as an editor counts, and its cells."""

    line: int
    cells: dict[str, str]


def check_seeds(folder: Path) -> int:
    """Judge every seed of `folder`; returns how many rows there are.

    Raises PipelineError that names file, line, column and what is wrong, of all that is
    wrong (at most 20 findings).
    """
    rows = 0
    findings: list[str] = []
    for path in sorted(folder.glob("*.csv")):
        read, found = _check_seed(path)
        rows += read
        findings += found
    if findings:
        more = len(findings) - 20
        raise PipelineError(
            "seeds: "
            + "; ".join(findings[:20])
            + (f"; and {more} more" if more > 0 else "")
        )
    return rows


def _check_seed(path: Path) -> tuple[int, list[str]]:
    """How many rows a seed has, and what is wrong with it."""
    described = path.with_suffix(".yml")
    if not described.exists():
        return 0, [f"{path.name}: no {described.name} says what its columns are"]
    seeds = yaml.safe_load(described.read_text("utf-8"))["seeds"]
    seed = next((each for each in seeds if each["name"] == path.stem), None)
    if seed is None:
        return 0, [f"{described.name} describes no seed {path.stem}"]
    kinds: dict[str, str] = (seed.get("config") or {}).get("column_types") or {}
    try:
        rows, findings = _read(path, list(kinds))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        return 0, [f"{path.name} line {line}: it is not UTF-8, save it as UTF-8"]
    if findings:
        return len(rows), findings
    for row in rows:
        for column, kind in kinds.items():
            cell = row.cells[column]
            if cell and (wrong := _wrong_cell(cell, kind)):
                findings.append(f"{_place(path, row, column)}: {cell!r} {wrong}")
    findings += _break_rules(path, seed, rows, findings)
    return len(rows), findings


def _read(path: Path, columns: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The rows, and what is wrong with the header or the number of cells."""
    rows: list[Row] = []
    findings: list[str] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        begins, header = 1, next(reader, [])
        for name in header:
            if columns and name not in columns:
                findings.append(
                    f"{path.name} line 1: column {name!r} is not known, choose from "
                    + ", ".join(columns)
                )
            elif header.count(name) > 1:
                findings.append(f"{path.name} line 1: column {name!r} stands twice")
        findings += [
            f"{path.name} line 1: column {name!r} is missing"
            for name in columns
            if name not in header
        ]
        try:
            begins = reader.line_num + 1
            for cells in reader:
                if not cells:
                    findings.append(f"{path.name} line {begins}: the line is empty")
                elif len(cells) != len(header):
                    findings.append(
                        f"{path.name} line {begins}: {len(cells)} cells where the "
                        f"header has {len(header)}"
                    )
                else:
                    rows.append(Row(begins, dict(zip(header, cells, strict=True))))
                begins = reader.line_num + 1
        except csv.Error as error:
            findings.append(f"{path.name} line {begins}: {error}")
    return rows, list(dict.fromkeys(findings))


def _wrong_cell(cell: str, kind: str) -> str | None:
    """What is wrong with a cell of a database type, or None."""
    if cell != cell.strip():
        return "has a space at its beginning or end"
    name = kind.partition("(")[0].strip().lower()
    checks: dict[str, tuple[Callable[[str], object], str]] = {
        "integer": (int, "is no whole number"),
        "bigint": (int, "is no whole number"),
        "date": (_day, "is no day, write it as 2026-05-31"),
        "boolean": (_boolean, "is neither true nor false"),
        "numeric": (Decimal, "is no number, write it as 0.22"),
    }
    if name not in checks:
        return None
    read, wrong = checks[name]
    try:
        read(cell)
    except (ValueError, InvalidOperation):
        return wrong
    return None


def _day(cell: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", cell):
        raise ValueError(cell)
    return date.fromisoformat(cell)


def _boolean(cell: str) -> bool:
    if cell.lower() not in _BOOLEANS:
        raise ValueError(cell)
    return True


def _break_rules(
    path: Path, seed: dict[str, Any], rows: list[Row], known: list[str]
) -> Iterator[str]:
    """What the tests of the seed's yml would find, with its line."""
    for column in seed.get("columns") or []:
        for name, arguments in _tests(column):
            yield from _break_column(path, column["name"], name, arguments, rows)
    for name, arguments in _tests(seed):
        columns = arguments.get("columns") or []
        if name == "is_one_row_per":
            yield from _repeated(path, columns, rows)
            nullable = arguments.get("nullable") or []
            for column in columns:
                if column not in nullable:
                    yield from _break_column(path, column, "not_null", {}, rows)
        elif name == "has_no_overlapping_spans" and not known:
            yield from _overlapping(path, columns, rows)


def _tests(node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for test in node.get("data_tests") or []:
        if isinstance(test, str):
            yield test, {}
        else:
            ((name, given),) = test.items()
            yield name, (given or {}).get("arguments") or {}


def _break_column(
    path: Path, column: str, test: str, arguments: dict[str, Any], rows: list[Row]
) -> Iterator[str]:
    if test == "unique":
        yield from _repeated(path, [column], rows)
    for row in rows:
        cell = row.cells[column]
        if test == "not_null" and not cell:
            yield f"{_place(path, row, column)}: the cell is empty"
        elif test == "is_lower_case" and cell != cell.lower():
            yield f"{_place(path, row, column)}: write {cell!r} as {cell.lower()!r}"
        elif test == "accepted_values" and cell:
            allowed = [str(each) for each in arguments["values"]]
            if cell not in allowed:
                yield (
                    f"{_place(path, row, column)}: {cell!r} is none of "
                    + ", ".join(allowed)
                )


def _repeated(path: Path, columns: Sequence[str], rows: list[Row]) -> Iterator[str]:
    first: dict[tuple[str, ...], int] = {}
    for row in rows:
        key = tuple(row.cells[column] for column in columns)
        if key in first:
            yield (
                f"{path.name} line {row.line}, column {' and '.join(columns)}: "
                f"{', '.join(map(repr, key))} stands on line {first[key]} already"
            )
        first.setdefault(key, row.line)


def _overlapping(path: Path, columns: Sequence[str], rows: list[Row]) -> Iterator[str]:
    """Spans valid_from..valid_to, both days included, of the same `columns`."""
    spans = sorted(
        rows, key=lambda row: ([row.cells[c] for c in columns], *_span(row), row.line)
    )
    last: Row | None = None
    for row in spans:
        begins, ends = _span(row)
        if ends < begins:
            yield f"{_place(path, row, 'valid_to')}: {ends} is before {begins}"
        if (
            last is not None
            and all(row.cells[c] == last.cells[c] for c in columns)
            and begins <= _span(last)[1]
        ):
            yield (
                f"{_place(path, row, 'valid_from')}: {begins} lies in the span of "
                f"line {last.line} for the same {' and '.join(columns)}"
            )
        if (
            last is None
            or any(row.cells[c] != last.cells[c] for c in columns)
            or ends > _span(last)[1]
        ):
            last = row


def _span(row: Row) -> tuple[date, date]:
    """Both days; an open side is the first or the last day there is."""
    begins, ends = row.cells["valid_from"], row.cells["valid_to"]
    return _day(begins) if begins else date.min, _day(ends) if ends else date.max


def _place(path: Path, row: Row, column: str) -> str:
    return f"{path.name} line {row.line}, column {column}"
