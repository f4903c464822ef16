"""Empty tables to fill in: one per kind of file, as a workbook or as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from connectors.files.columns import PLANS

if TYPE_CHECKING:
    from connectors.base.tables import Column, Kind

_FORMATS: dict[Kind, str] = {
    "day": "dd.mm.yyyy",
    "moment": "dd.mm.yyyy hh:mm",
    "money": "#,##0.00",
    # else a long number becomes 1.23E+17, and a phone loses its plus
    "id": "@",
    "phone": "@",
    "text": "@",
}
_ROWS = 500  # formatted beforehand


def as_csv(stream: str) -> bytes:
    """The header with `;` between, UTF-8 with its mark: Excel opens it as it is."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(each.title for each in PLANS[stream].columns)
    return text.getvalue().encode("utf-8-sig")


def as_xlsx(stream: str) -> bytes:
    """A sheet to fill in, and one that says what belongs into each column."""
    import openpyxl
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    columns = PLANS[stream].columns
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Данные"
    sheet.append([each.title for each in columns])
    sheet.freeze_panes = "A2"
    for number, column in enumerate(columns, 1):
        cell = sheet.cell(1, number)
        cell.font = Font(bold=True)
        colour = "FFE699" if column.required else "DDEBF7"
        cell.fill = PatternFill("solid", start_color=colour)
        letter = get_column_letter(number)
        sheet.column_dimensions[letter].width = max(14, len(column.title) + 4)
        for row in range(2, _ROWS + 2):
            sheet.cell(row, number).number_format = _FORMATS.get(column.kind, "General")
    remarks = book.create_sheet("Как заполнять")
    remarks.append(["Столбец", "Обязателен", "Что писать"])
    for column in columns:
        remarks.append([column.title, _need(column), column.help])
    remarks.column_dimensions["A"].width = 24
    remarks.column_dimensions["B"].width = 14
    remarks.column_dimensions["C"].width = 70
    for row in remarks.iter_rows():
        for cell in row:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
    for cell in remarks[1]:
        cell.font = Font(bold=True)
    body = io.BytesIO()
    book.save(body)
    return body.getvalue()


def _need(column: Column) -> str:
    return "да" if column.required else "нет"
