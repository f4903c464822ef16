"""A bad file of people stops the build with the line that is wrong."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pipeline import dbt_station
from pipeline.errors import PipelineError
from pipeline.seeds import check_seeds

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "source,medium,source_rank,valid_from,valid_to\n"
GOOD = "yandex,cpc,9,2000-01-01,9999-12-31\n"


@pytest.fixture
def seeds(project: Path, tmp_path: Path) -> Path:
    """A copy of the project's seeds."""
    folder = tmp_path / "dbt_project" / "seeds"
    shutil.copytree(project / "dbt_project" / "seeds", folder)
    return folder


def refused(seeds: Path, text: str | bytes, name: str = "source_ranks") -> str:
    """What is said when a seed has this text."""
    content = text.encode() if isinstance(text, str) else text
    (seeds / f"{name}.csv").write_bytes(content)
    with pytest.raises(PipelineError) as caught:
        check_seeds(seeds)
    return str(caught.value)


def test_the_projects_own_seeds_are_good(seeds: Path) -> None:
    lines = sum(len(f.read_text("utf-8").splitlines()) - 1 for f in seeds.glob("*.csv"))
    assert check_seeds(seeds) == lines > 100


def test_an_editors_byte_order_mark_and_line_ends_do_not_matter(seeds: Path) -> None:
    text = (HEADER + GOOD).replace("\n", "\r\n")
    (seeds / "source_ranks.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert check_seeds(seeds) > 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            GOOD + "yandex,cpc,9,2000-01-01,9999-12-31\n",
            "source_ranks.csv line 3, column valid_from: 2000-01-01 lies in the span of "
            "line 2 for the same source and medium",
        ),
        (
            "vk,cpc,1,2026-01-01,2026-06-30\nvk,cpc,2,2026-06-30,9999-12-31\n",
            "line 3, column valid_from: 2026-06-30 lies in the span of line 2",
        ),
        (
            # the long span holds the third, though the second lies between them
            "vk,cpc,1,2026-01-01,2026-12-31\nvk,cpc,2,2026-02-01,2026-02-02\n"
            "vk,cpc,3,2026-03-01,2026-03-02\n",
            "line 4, column valid_from: 2026-03-01 lies in the span of line 2",
        ),
        (
            "vk,cpc,1,2026-02-01,2026-01-31\n",
            "line 2, column valid_to: 2026-01-31 is before 2026-02-01",
        ),
        (GOOD + "vk,cpc,ten,2000-01-01,9999-12-31\n",
         "line 3, column source_rank: 'ten' is no whole number"),
        (GOOD + "vk,cpc,1.5,2000-01-01,9999-12-31\n",
         "line 3, column source_rank: '1.5' is no whole number"),
        (GOOD + "vk,cpc,,2000-01-01,9999-12-31\n",
         "line 3, column source_rank: the cell is empty"),
        (GOOD + "vk,cpc,5,01.05.2026,9999-12-31\n",
         "line 3, column valid_from: '01.05.2026' is no day, write it as 2026-05-31"),
        (GOOD + "vk,cpc,5,2026-02-30,9999-12-31\n",
         "line 3, column valid_from: '2026-02-30' is no day"),
        (GOOD + "vk,cpc,5,2000-01-01,\n",
         "line 3, column valid_to: the cell is empty"),
        (GOOD + "VK,cpc,5,2000-01-01,9999-12-31\n",
         "line 3, column source: write 'VK' as 'vk'"),
        (GOOD + "vk ,cpc,5,2000-01-01,9999-12-31\n",
         "line 3, column source: 'vk ' has a space at its beginning or end"),
        (GOOD + "vk,cpc,5,2000-01-01\n",
         "line 3: 4 cells where the header has 5"),
        (GOOD + "vk,cpc,5,2000-01-01,9999-12-31,old\n",
         "line 3: 6 cells where the header has 5"),
        (GOOD + "\nvk,cpc,5,2000-01-01,9999-12-31\n", "line 3: the line is empty"),
        (GOOD + '"vk,cpc,5,2000-01-01,9999-12-31\n', "line 3: unexpected end of data"),
    ],
)  # fmt: skip
def test_the_line_and_the_column_are_named(seeds: Path, rows: str, said: str) -> None:
    assert said in refused(seeds, HEADER + rows)


def test_a_line_is_counted_as_an_editor_counts(seeds: Path) -> None:
    rows = 'bitrix24,"two\nlines",call,,\nbitrix24,"two\nlines",form,,\n'
    said = refused(
        seeds, "crm,source_id,contact_channel,source,medium\n" + rows, "lead_sources"
    )
    assert "lead_sources.csv line 4, column crm and source_id" in said
    assert "stands on line 2 already" in said


def test_a_typo_in_the_header_names_what_it_could_be(seeds: Path) -> None:
    said = refused(seeds, HEADER.replace("source_rank", "rank") + GOOD)
    assert "source_ranks.csv line 1: column 'rank' is not known, choose from" in said
    assert "source_ranks.csv line 1: column 'source_rank' is missing" in said
    assert "line 1: column 'medium' stands twice" in refused(
        seeds, HEADER.replace("valid_to", "medium") + GOOD
    )


def test_another_encoding_is_told_from_a_typo(seeds: Path) -> None:
    said = refused(seeds, (HEADER + GOOD + "яндекс,cpc,1,").encode("cp1251"))
    assert "source_ranks.csv line 3: it is not UTF-8" in said


def test_a_value_that_is_not_allowed_names_those_that_are(seeds: Path) -> None:
    header = "rule,kind,identifier,other_kind,other_identifier,reason\n"
    said = refused(seeds, header + "alow,phone,ph1_x,,,a typo\n", "identity_rules")
    assert (
        "identity_rules.csv line 2, column rule: 'alow' is none of allow, forbid"
        in said
    )


def test_all_that_is_wrong_is_said_at_once(seeds: Path) -> None:
    said = refused(seeds, HEADER + "vk,cpc,x,2000-01-01,9999-12-31\n" * 30)
    assert said.count("source_ranks.csv line") == 20
    assert "more" in said.rpartition(";")[2]
    (seeds / "channel_names.yml").unlink()
    with pytest.raises(PipelineError, match=r"channel_names.csv: no channel_names.yml"):
        check_seeds(seeds)


def test_nothing_is_built_from_a_bad_seed(
    seeds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (seeds / "source_ranks.csv").write_text(HEADER + "vk,cpc,x,2000-01-01,9999-12-31\n")
    monkeypatch.setenv("THROUGHLINE_HOME", str(seeds.parents[1]))
    # no warehouse is named: it is not even asked for
    monkeypatch.delenv("THROUGHLINE_TRANSFORMER_PASSWORD", raising=False)
    with pytest.raises(PipelineError, match=r"line 2, column source_rank: 'x'"):
        dbt_station.build_station("build_identifiers", "any")
