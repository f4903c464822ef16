"""Google Sheets: a call centre's sheet used as a CRM, and a sheet of costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.base import google_token, manual
from connectors.base.connector import Connector, Limits
from connectors.base.errors import FatalError, ParseError
from connectors.base.stream import Stream, from_json
from connectors.base.tables import HeaderError, Table
from connectors.google_sheets.columns import COSTS, LEADS, Sheet, SheetsSettings
from connectors.google_sheets.values import parts_of, rows_of, scrubbed, title_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connectors.base.batch import Batch, Record
    from connectors.base.connection import ConnectionInfo
    from connectors.base.connector import Account, Answer
    from connectors.base.errors import ConnectorError
    from connectors.base.oauth import TokenRequest
    from connectors.base.stream import Window

SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
# Unformatted: what a cell holds, not how the sheet's language prints it. Dates are then
# day numbers, which no locale can turn round.
RENDER = {
    "majorDimension": "ROWS",
    "valueRenderOption": "UNFORMATTED_VALUE",
    "dateTimeRenderOption": "SERIAL_NUMBER",
}


class GoogleSheets(Connector):
    """Reads each table whole: a spreadsheet says neither what changed nor what went.

    Days and times are those of the account's zone, amounts have VAT as the account
    says, unless a row says otherwise.
    """

    name = "google_sheets"
    role = "sheet"
    streams = (LEADS, COSTS)
    base_url = "https://sheets.googleapis.com"
    Settings = SheetsSettings
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the key file of a service account as one line of JSON (Google "
        "Cloud console, Service accounts, Keys), or an OAuth refresh token",
        **google_token.CLIENT_HELP,
    }
    if_refused = (
        "share the spreadsheet with the service account's address (client_email in its "
        "key file) as a viewer, and see that the Google Sheets API is enabled"
    )
    # 60 reads a minute per user and project; after a minute all are there again
    limits = Limits(requests_per_second=0.9, burst=20)
    settings: SheetsSettings

    @classmethod
    def streams_of(cls, account: Account) -> tuple[Stream, ...]:
        """Those the account has a sheet for."""
        sheets = SheetsSettings.model_validate(account.settings).sheets
        used = {each.stream for each in sheets}
        return tuple(each for each in cls.streams if each.name in used)

    @classmethod
    def connection_needs(cls, connection: ConnectionInfo) -> Mapping[str, str]:
        """The client's id and secret are needed with a refresh token only."""
        return google_token.needs(connection, cls.connection_help)

    @classmethod
    def token_request(
        cls, account: Account, connection: ConnectionInfo, refresh_token: str | None
    ) -> TokenRequest:
        """Google's two grants; its refresh tokens stay as they are."""
        del account, refresh_token
        return google_token.token_request(connection, SCOPE)

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """A range or spreadsheet that is not there: say which setting names it."""
        if answer.status == 400 and b"Unable to parse range" in answer.body:
            return FatalError(
                f"{answer.label}: there is no such sheet or range; put into "
                "settings.sheets the name of the sheet as its tab has it"
            )
        if answer.status == 404:
            return FatalError(
                f"{answer.label}: there is no such spreadsheet; put into "
                "settings.spreadsheet_id what its address has between /d/ and /edit"
            )
        return None

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Each sheet of the stream, whole: one answer has no pages.

        Raises ParseError for a sheet without the header that was agreed on.
        """
        ids = manual.Ids(later_wins=False)
        for sheet in self._sheets(stream):
            yield self._read(sheet, self._values(sheet), ids).batch()

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """The rows of a recorded answer. Raises ParseError."""
        content = from_json(body)
        sheet = self._sheet_of(stream, content)
        return self._read(sheet, content, manual.Ids(later_wins=False)).records

    def scrub(
        self, stream: Stream, body: bytes, default: Callable[[bytes], bytes]
    ) -> bytes:
        """Cells have no names of their own: they get those of their columns."""
        content = from_json(body)
        plan = self._sheet_of(stream, content).plan
        return scrubbed(content, plan.columns, default)

    def check(self) -> list[str]:
        """Read all sheets of the spreadsheet at once, and say how many rows are good."""
        lines = []
        own = [each for each in self.settings.sheets if each.spreadsheet_id is None]
        asked = {**RENDER, "ranges": [each.range for each in own]}
        path = f"v4/spreadsheets/{self.settings.spreadsheet_id}/values:batchGet"
        for sheet, content in zip(
            own, parts_of(self.client.get(path, asked).json(), len(own)), strict=True
        ):
            read = self._read(sheet, content, manual.Ids())
            lines.append(
                f'sheet "{title_of(sheet.range)}" ({sheet.stream}): '
                f"{len(read.records)} rows, {len(read.refused)} refused"
            )
            lines += [f"  {each}" for each in read.wrong[:5]]
        return lines

    def _sheet_of(self, stream: Stream, content: Any) -> Sheet:
        """Whose answer this is, by the range it names; else the stream's first."""
        title = title_of(content.get("range") if isinstance(content, dict) else None)
        sheets = self._sheets(stream)
        return next((s for s in sheets if title_of(s.range) == title), sheets[0])

    def _sheets(self, stream: Stream) -> list[Sheet]:
        return [each for each in self.settings.sheets if each.stream == stream.name]

    def _values(self, sheet: Sheet) -> Any:
        spreadsheet = sheet.spreadsheet_id or self.settings.spreadsheet_id
        path = f"v4/spreadsheets/{spreadsheet}/values/{quote(sheet.range, safe='')}"
        return self.client.get(path, RENDER).json()

    def _read(self, sheet: Sheet, content: Any, ids: manual.Ids) -> manual.Reading:
        title = title_of(sheet.range)
        where = f'{self.account}: sheet "{title}"'
        first, rows = rows_of(content, where)
        plan = sheet.plan
        zone = ZoneInfo(self.account.time_zone)
        table = Table(
            plan.columns,
            zone,
            fill_down=sheet.fill_down,
            keep_unknown=True,
            ignore=sheet.ignore,
        )
        try:
            read = manual.read(table, enumerate(rows, first), plan, ids, where)
        except HeaderError as error:
            raise ParseError(
                f"{where}: {error}; mend the sheet, or say in settings.sheets what its "
                "columns are called"
            ) from None
        for record in read.records:
            record["sheet"] = title
        return read
