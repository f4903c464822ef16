"""How far a figure could have come out otherwise: a bootstrap over persons.

Each replicate gives every person a Poisson(1) weight (the Poisson bootstrap: Hanley,
MacGibbon, Am. J. Epidemiol. 2006; Chamandy et al., 2012), drawn from the person's own
key, so that the order of rows, the other persons and the size of a piece do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_WORD = np.uint64(0x9E3779B97F4A7C15)


def _poisson_table() -> NDArray[np.uint8]:
    """The Poisson(1) quantile of each 16-bit number; its mean is 1 to 4 digits."""
    chances = np.cumsum(np.exp(-1) / np.cumprod([1, *range(1, 12)]))
    middle = (np.arange(65536) + 0.5) / 65536
    return np.searchsorted(chances, middle).astype(np.uint8)


_POISSON = _poisson_table()


def weights(keys: NDArray[np.uint64], replicates: int, seed: int) -> NDArray[np.uint8]:
    """Poisson(1) weights, a row per key and a column per replicate.

    A row depends on its key, the seed and nothing else (splitmix64 of key and column,
    four weights to a word).
    """
    words = -(-replicates // 4)
    with np.errstate(over="ignore"):
        columns = (np.arange(words, dtype=np.uint64) + np.uint64(1)) * _WORD
        mixed = (keys[:, None] ^ (np.uint64(seed) * _WORD)) + columns[None, :]
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return _POISSON[mixed.view(np.uint16)[:, :replicates]]


@dataclass(frozen=True)
class Piece:
    """Rows of credits: `keys` (uint64 of the person), `cells` (the place of the row's
    cell, such as channel x month, from 0) and `values` (a column per figure)."""

    keys: NDArray[np.uint64]
    cells: NDArray[np.int64]
    values: NDArray[np.float64]


def replicate(
    pieces: Iterable[Piece], cells: int, figures: int, *, replicates: int, seed: int
) -> NDArray[np.float64]:
    """Sums of each figure in each cell under each replicate's weights.

    Returns (cells, 1 + replicates, figures): first the sums as they are, then those of
    each replicate. The rows of a person may lie in any pieces.
    Memory is that of one piece times `replicates`, so pieces of about 50,000 rows.
    """
    sums = np.zeros((cells, 1 + replicates, figures))
    for piece in pieces:
        if not len(piece.keys):
            continue
        order = np.argsort(piece.cells, kind="stable")
        sorted_cells = piece.cells[order]
        values = piece.values[order]
        keys, of_row = np.unique(piece.keys[order], return_inverse=True)
        drawn = weights(keys, replicates, seed)
        bounds = np.flatnonzero(np.diff(sorted_cells)) + 1
        starts = [0, *bounds.tolist()]
        for first, end in zip(starts, [*starts[1:], len(order)], strict=True):
            rows = drawn[of_row[first:end]].astype(np.float64)
            sums[sorted_cells[first], 0] += values[first:end].sum(axis=0)
            sums[sorted_cells[first], 1:] += rows.T @ values[first:end]
    return sums


def bounds(
    sums: NDArray[np.float64], level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The low and the high end of the middle `level` of replicates, along axis 1."""
    tail = (1 - level) / 2
    low, high = np.quantile(sums, [tail, 1 - tail], axis=1)
    return low, high
