"""Removal effects against the chain solved once per channel, and counted steps."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.attribution import markov
from pipeline.attribution.markov import CONVERSION, NULL, START

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

Path = tuple[tuple[str, ...], bool, int]  # channels, converted, how often

NAMES = ("seo", "direct", "ads", "email", "vk")
# short alphabets make repeated steps and self loops common; a path may be empty
paths_of_people = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), max_size=7).map(tuple),
        st.booleans(),
        st.integers(1, 50),
    ),
    max_size=12,
)


def plain_steps(paths: Iterable[Path]) -> Counter[tuple[str, str]]:
    """The steps of each path, one after the other."""
    found: Counter[tuple[str, str]] = Counter()
    for channels, converted, times in paths:
        states = [START, *channels, CONVERSION if converted else NULL]
        for step in itertools.pairwise(states):
            found[step] += times
    return found


def counted_at_once(paths: Sequence[Path]) -> list[markov.Transition]:
    place = {name: at for at, name in enumerate(NAMES)}
    codes = [place[name] for channels, _, _ in paths for name in channels]
    offsets = np.cumsum([0] + [len(channels) for channels, _, _ in paths])
    return markov.count_transitions(
        np.array(codes, dtype=np.int64),
        offsets.astype(np.int64),
        np.array([converted for _, converted, _ in paths], dtype=np.bool_),
        NAMES,
        np.array([times for _, _, times in paths], dtype=np.int64),
    )


def converting(steps: Counter[tuple[str, str]], without: str | None) -> float:
    """The chance to convert, from one solve; steps into `without` lead to nothing."""
    states = sorted({origin for origin, _ in steps} | {START})
    place = {state: at for at, state in enumerate(states)}
    left = np.eye(len(states))
    right = np.zeros(len(states))
    for (origin, target), count in steps.items():
        out = sum(n for (each, _), n in steps.items() if each == origin)
        if target == CONVERSION:
            right[place[origin]] += count / out
        elif target not in (NULL, without):
            left[place[origin], place[target]] -= count / out
    return float(np.linalg.solve(left, right)[place[START]])


def as_transitions(steps: Counter[tuple[str, str]]) -> list[markov.Transition]:
    return [(origin, target, count) for (origin, target), count in steps.items()]


@settings(deadline=None)
@given(paths_of_people)
def test_effects_are_those_of_one_solve_per_channel(paths: list[Path]) -> None:
    steps = plain_steps(paths)
    chain = markov.fit(as_transitions(steps))
    assert set(chain.channels) == {
        name for channels, _, _ in paths for name in channels
    }
    rate = converting(steps, None) if steps else 0.0
    assert chain.conversion_rate == pytest.approx(rate, abs=1e-9)
    effects = [
        1 - converting(steps, name) / rate if rate > 0 else 0.0
        for name in chain.channels
    ]
    assert chain.removal_effects == pytest.approx(effects, abs=1e-9)
    assert ((chain.removal_effects >= 0) & (chain.removal_effects <= 1)).all()
    total = sum(effects)
    assert chain.shares.sum() == pytest.approx(1.0 if total > 1e-12 else 0.0, abs=1e-9)
    if total > 1e-9:
        assert chain.shares == pytest.approx(np.array(effects) / total, abs=1e-9)


@settings(deadline=None)
@given(paths_of_people, st.randoms(use_true_random=False))
def test_the_order_of_steps_and_their_cutting_do_not_matter(
    paths: list[Path], dice: random.Random
) -> None:
    steps = as_transitions(plain_steps(paths))
    cut = [(*step[:2], 1) for step in steps] + [
        (*step[:2], step[2] - 1) for step in steps
    ]
    dice.shuffle(cut)
    first, second = markov.fit(steps), markov.fit(cut)
    assert first.channels == second.channels
    assert np.array_equal(first.removal_effects, second.removal_effects)
    assert np.array_equal(first.shares, second.shares)


@settings(deadline=None)
@given(paths_of_people)
def test_a_channel_after_itself_changes_nothing(paths: list[Path]) -> None:
    doubled = [
        (tuple(name for name in channels for _ in (0, 1)), converted, times)
        for channels, converted, times in paths
    ]
    plain = markov.fit(as_transitions(plain_steps(paths)))
    again = markov.fit(as_transitions(plain_steps(doubled)))
    assert again.removal_effects == pytest.approx(plain.removal_effects, abs=1e-9)


@settings(deadline=None)
@given(paths_of_people)
def test_steps_counted_at_once_are_those_of_a_plain_loop(paths: list[Path]) -> None:
    counted = counted_at_once(paths)
    assert len({step[:2] for step in counted}) == len(counted)
    assert {step[:2]: step[2] for step in counted} == dict(plain_steps(paths))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 120), st.integers(0, 2**32 - 1))
def test_many_channels_are_as_exact(channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps: Counter[tuple[str, str]] = Counter({(START, "c0"): 5})
    for at in range(channels):
        for target in rng.integers(0, channels, 4):
            steps[f"c{at}", f"c{target}"] += int(rng.integers(1, 9))
        steps[f"c{at}", CONVERSION] += int(rng.integers(0, 3))
        steps[f"c{at}", NULL] += 1
    rate = converting(steps, None)
    chain = markov.fit(as_transitions(steps))
    if rate == 0:
        assert not chain.removal_effects.any()
        return
    for name in chain.channels[:: max(1, channels // 5)]:
        found = chain.removal_effects[chain.channels.index(name)]
        assert found == pytest.approx(1 - converting(steps, name) / rate, abs=1e-9)


def by_dropping(steps: Counter[tuple[str, str]]) -> dict[str, float]:
    """As DP6's marketing_attribution_models 1.0.10 has it: the channel's row and column
    are dropped, what a row then lacks of 1 goes to the null end, 1 - rate / rate."""
    ends = [NULL, CONVERSION]
    channels = sorted({o for o, _ in steps} - {START})

    def rate(states: list[str]) -> float:
        chances = {
            state: {
                target: steps[state, target]
                / sum(n for (origin, _), n in steps.items() if origin == state)
                for target in [*states, *ends]
            }
            for state in states
        }
        for row in chances.values():
            row[NULL] += 1 - sum(row.values())
        between = np.array([[chances[a][b] for b in states] for a in states])
        to_end = np.array([[chances[a][b] for b in ends] for a in states])
        absorbed = np.linalg.inv(np.identity(len(states)) - between).dot(to_end)
        return float(absorbed[states.index(START)][1])

    whole = rate([START, *channels])
    return {
        name: 1 - rate([START, *(c for c in channels if c != name)]) / whole
        for name in channels
    }


# paths as they stand in every introduction to the model, and one with its loops
EXAMPLES: list[tuple[list[Path], dict[str, float]]] = [
    (
        [(("C1", "C2", "C3"), True, 1), (("C1",), False, 1), (("C2", "C3"), False, 1)],
        {"C1": 0.5, "C2": 1.0, "C3": 1.0},
    ),
    (
        [
            (("A", "B", "A", "C"), True, 3),
            (("A", "A"), False, 4),
            (("C", "B"), True, 1),
            (("B",), False, 2),
        ],
        {},
    ),
]


@pytest.mark.parametrize(("paths", "known"), EXAMPLES)
def test_the_formula_of_dp6_gives_the_same(
    paths: list[Path], known: dict[str, float]
) -> None:
    steps = plain_steps(paths)
    chain = markov.fit(as_transitions(steps))
    effects = dict(zip(chain.channels, chain.removal_effects, strict=True))
    assert effects == pytest.approx(by_dropping(steps), abs=1e-9)
    if known:
        assert effects == pytest.approx(known, abs=1e-12)
        assert chain.shares == pytest.approx([0.2, 0.4, 0.4], abs=1e-12)
        assert chain.conversion_rate == pytest.approx(1 / 3)


def test_a_channel_that_no_path_reaches_has_no_effect() -> None:
    chain = markov.fit([(START, "a", 2), ("a", CONVERSION, 2), ("b", CONVERSION, 1)])
    assert dict(zip(chain.channels, chain.removal_effects, strict=True)) == {
        "a": 1.0,
        "b": 0.0,
    }


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [(START, "a", 3), ("a", NULL, 3)],
        [(START, NULL, 1)],
        [(START, CONVERSION, 1)],
    ],
)
def test_without_a_channel_that_converts_nobody_has_a_share(
    steps: list[markov.Transition],
) -> None:
    chain = markov.fit(steps)
    assert not chain.removal_effects.any()
    assert not chain.shares.any()


@pytest.mark.parametrize(
    "step",
    [
        (START, "a", -1),
        (CONVERSION, "a", 1),
        (NULL, "a", 1),
        ("a", START, 1),
    ],
)
def test_a_step_that_cannot_be_is_refused(step: markov.Transition) -> None:
    with pytest.raises(ValueError, match="to"):
        markov.fit([step])
