"""Credits of a dozen paths are those that other people's packages give.

`python -m bench attribution_agreement` asks the packages themselves, of many paths.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.warehouse.test_attribution_incremental import (
    BEGIN,
    Company,
    Conversion,
    Line,
    Touch,
)

if TYPE_CHECKING:
    from pathlib import Path

PATHS = (
    ("seo", True),
    ("direct", True),
    ("direct", False),
    ("seo > direct", True),
    ("vk > vk", True),
    ("email > seo", False),
    ("ads > seo > direct", True),
    ("ads > email > ads", True),
    ("vk > direct > vk", False),
    ("ads > seo > seo > email > direct", True),
    ("vk > ads > direct > email > seo", True),
    ("email > vk > seo > direct > email > ads > ads", True),
    ("seo > email", False),
)
CHANNELS = ("ads", "direct", "email", "seo", "vk")
# printed by the packages, each for CHANNELS
EXPECTED = {
    # ChannelAttribution 2.2.5, DP6 marketing_attribution_models 1.0.10 and 2.1.1
    "first_touch": (3.0, 1.0, 1.0, 2.0, 2.0),
    "last_touch": (2.0, 4.0, 0.0, 2.0, 1.0),
    "linear": (
        1.6857142857142857, 2.376190476190476, 1.019047619047619, 2.5761904761904764,
        1.342857142857143,
    ),
    # DP6 1.0.10 and 2.1.1
    "position_based": (
        2.106666666666667, 2.4066666666666667, 0.7733333333333334, 2.2733333333333334,
        1.44,
    ),
    # DP6 1.0.10, attribution_markov(conversion_value_as_frequency=False)
    "markov": (
        1.8785865694821529, 2.2672040046869437, 1.4606373626126843, 2.048369687113388,
        1.3452023761048326,
    ),
    # DP6 2.1.1, run_markov()
    "markov_split": (
        1.7301780641518207, 2.5606840711267997, 0.8295051005598825, 2.621147439497649,
        1.2584853246638477,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def credit(
    warehouse: str, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, float]]:
    """What each model gives each channel for PATHS, each of one person in one month."""
    made = Company(random.Random(0))
    for number, (path, converted) in enumerate(PATHS):
        person = f"p{number}"
        for place, channel in enumerate(path.split(" > ")):
            at = BEGIN + timedelta(days=number, hours=place)
            made.touches[made.name("t")] = Touch(person, at, channel)
        if converted:
            made.conversions[made.name("c")] = Conversion("sale", person, at)
    # nobody saw them before: the packages have no such paths
    made.conversions[made.name("c")] = Conversion("sale", "unseen", BEGIN)
    made.conversions[made.name("c")] = Conversion("sale", None, BEGIN)
    line = Line(warehouse, project, tmp_path_factory.mktemp("attribution"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THROUGHLINE_HOME", str(project))
        line.fill(made)
        line.run()
    found = {
        model: dict(
            line.connection.execute(
                f"""
                select channel, sum({model})::double precision
                from attribution.int_attribution_credits
                inner join touchpoints.int_touchpoints using (touchpoint_id)
                group by channel
                """
            ).fetchall()
        )
        for model in EXPECTED
        if model != "markov"
    }
    found["markov"] = dict(
        line.connection.execute(
            """
            select channel, effect_share * (diagnostics ->> 'conversions')::integer
            from attribution.fitted_versions
            inner join attribution.fitted_weights using (version_id)
            where is_current
            """
        ).fetchall()
    )
    line.connection.close()
    return found


@pytest.mark.parametrize("model", EXPECTED)
def test_a_model_gives_what_the_packages_give(
    credit: dict[str, dict[str, float]], model: str
) -> None:
    theirs = dict(zip(CHANNELS, EXPECTED[model], strict=True))
    assert credit[model] == pytest.approx(theirs, abs=1e-7)
