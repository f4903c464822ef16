"""The weights of the bootstrap, and sums that do not depend on how rows are cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.attribution import intervals
from pipeline.attribution.intervals import Piece

if TYPE_CHECKING:
    import random

REPLICATES = 9
rows_of_credits = st.lists(
    st.tuples(
        st.integers(0, 6),  # person
        st.integers(0, 3),  # cell
        st.integers(-1000, 1000),  # whole numbers: sums of them are exact in any order
    ),
    max_size=40,
)


def piece(rows: list[tuple[int, int, int]]) -> Piece:
    return Piece(
        np.array([key * 2**60 + 7 for key, _, _ in rows], dtype=np.uint64),
        np.array([cell for _, cell, _ in rows], dtype=np.int64),
        np.array([[value, 2 * value] for _, _, value in rows], float).reshape(-1, 2),
    )


@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20, unique=True),
    st.integers(1, 30),
    st.integers(0, 2**62),
)
def test_a_persons_weights_are_of_the_person_and_the_seed_alone(
    keys: list[int], replicates: int, seed: int
) -> None:
    whole = intervals.weights(np.array(keys, dtype=np.uint64), replicates, seed)
    assert whole.shape == (len(keys), replicates)
    for at, key in enumerate(keys):
        alone = intervals.weights(np.array([key], dtype=np.uint64), replicates, seed)
        assert np.array_equal(whole[at], alone[0])
    more = intervals.weights(np.array(keys, dtype=np.uint64), replicates + 5, seed)
    assert np.array_equal(more[:, :replicates], whole)


def test_weights_are_drawn_from_poisson_of_1() -> None:
    keys = np.random.default_rng(3).integers(0, 2**63, 20_000).astype(np.uint64)
    drawn = intervals.weights(keys, 50, seed=11).astype(float)
    assert drawn.mean() == pytest.approx(1.0, abs=0.004)
    assert drawn.var() == pytest.approx(1.0, abs=0.01)
    for count in range(5):
        chance = math.exp(-1) / math.factorial(count)
        assert (drawn == count).mean() == pytest.approx(chance, abs=0.003)
    # neighbouring numbers, columns and seeds have nothing in common
    ordered = intervals.weights(np.arange(20_000, dtype=np.uint64), 50, 11).astype(
        float
    )
    assert ordered.mean() == pytest.approx(1.0, abs=0.004)
    between = np.corrcoef(ordered, rowvar=False) - np.eye(50)
    assert abs(between).max() < 0.035
    assert abs(np.corrcoef(ordered[:-1, 0], ordered[1:, 0])[0, 1]) < 0.035
    other = intervals.weights(np.arange(20_000, dtype=np.uint64), 50, 12).astype(float)
    assert abs(np.corrcoef(ordered[:, 0], other[:, 0])[0, 1]) < 0.035


@settings(deadline=None)
@given(rows_of_credits, st.integers(1, 10), st.randoms(use_true_random=False))
def test_order_and_size_of_pieces_do_not_matter(
    rows: list[tuple[int, int, int]], size: int, dice: random.Random
) -> None:
    chosen = {"replicates": REPLICATES, "seed": 5}
    whole = intervals.replicate([piece(rows)], 4, 2, **chosen)
    assert whole.shape == (4, 1 + REPLICATES, 2)
    shuffled = list(rows)
    dice.shuffle(shuffled)
    cut = [piece(shuffled[at : at + size]) for at in range(0, len(rows), size)]
    assert np.array_equal(intervals.replicate(cut, 4, 2, **chosen), whole)


@settings(deadline=None)
@given(rows_of_credits)
def test_each_replicate_is_a_weighted_sum_and_the_first_the_sum_itself(
    rows: list[tuple[int, int, int]],
) -> None:
    found = intervals.replicate([piece(rows)], 4, 2, replicates=REPLICATES, seed=5)
    expected = np.zeros_like(found)
    for key, cell, value in rows:
        drawn = intervals.weights(
            np.array([key * 2**60 + 7], dtype=np.uint64), REPLICATES, 5
        )[0]
        for at, weight in enumerate([1, *drawn.tolist()]):
            expected[cell, at] += [weight * value, weight * 2 * value]
    assert np.array_equal(found, expected)


def test_bounds_hold_the_middle_of_the_replicates() -> None:
    sums = np.arange(201, dtype=float).reshape(1, 201, 1)
    low, high = intervals.bounds(sums, level=0.9)
    assert (low[0, 0], high[0, 0]) == (pytest.approx(10.0), pytest.approx(190.0))


def test_the_interval_of_a_sum_is_as_wide_as_theory_says() -> None:
    """A sum of n persons' ones has the deviation of the root of n."""
    rows = 2_000
    ones = Piece(
        np.arange(rows, dtype=np.uint64),
        np.zeros(rows, dtype=np.int64),
        np.ones((rows, 1)),
    )
    sums = intervals.replicate([ones], 1, 1, replicates=2_000, seed=1)
    low, high = intervals.bounds(sums[:, 1:])
    width = 2 * 1.96 * math.sqrt(rows)
    assert high[0, 0] - low[0, 0] == pytest.approx(width, rel=0.06)
    assert low[0, 0] < rows < high[0, 0]
