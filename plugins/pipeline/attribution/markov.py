"""Removal effects of a Markov chain over channels, exact and in closed form.

Anderl, Becker, von Wangenheim, Schumann: Mapping the customer journey, IJRM 33(3),
2016, 457-474: states are a start, the channels, a conversion and a null end; the
removal effect of a channel is the share of conversions that would be lost if every
step into the channel led to the null end instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

START, CONVERSION, NULL = "(start)", "(conversion)", "(null)"

Transition = tuple[str, str, int]  # from state, to state, how often


@dataclass(frozen=True)
class Chain:
    """A fitted chain of order 1; arrays are in the order of `channels`.

    `removal_effects` are from 0 to 1; `shares` are them over their sum, and sum to 1
    (all zero when nothing converts). `conversion_rate` is the share of paths from the
    start that end in a conversion.
    """

    channels: tuple[str, ...]
    removal_effects: NDArray[np.float64]
    shares: NDArray[np.float64]
    conversion_rate: float


def fit(transitions: Iterable[Transition]) -> Chain:
    """The chain of these counted steps, whatever their order; equal steps add up.

    A channel that no path from the start comes through has no effect. Raises
    ValueError for a count below zero, and for a step out of an end or into the start.
    """
    counted: dict[tuple[str, str], int] = {}
    for origin, target, count in transitions:
        if count < 0:
            raise ValueError(f"{origin} to {target}: a count of {count} is below zero")
        if origin in (CONVERSION, NULL) or target == START:
            raise ValueError(f"{origin} to {target}: no path goes that way")
        counted[origin, target] = counted.get((origin, target), 0) + count
    states = {state for step in counted for state in step}
    channels = tuple(sorted(states - {START, CONVERSION, NULL}))
    place = {START: 0, **{name: at for at, name in enumerate(channels, 1)}}
    place |= {CONVERSION: len(place), NULL: len(place) + 1}
    counts = np.zeros((len(place) - 2, len(place)))
    for (origin, target), count in counted.items():
        counts[place[origin], place[target]] = count
    return Chain(channels, *_removal_effects(counts))


def _removal_effects(
    counts: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Effects, shares and the conversion rate of a (n + 1) x (n + 3) table of steps.

    Row 0 is the start; the last two columns are the conversion and the null end. With
    N the visits before an end and f the chance to convert from each state, the chain
    without k converts with f0 - N0k fk / Nkk: one inverse serves every channel.
    """
    size = counts.shape[0]
    none = np.zeros(size - 1)
    # states that never leave themselves would make the chain endless; no observed
    # path has any, since each ends in a conversion or in nothing
    out = counts.sum(axis=1)
    chances = np.divide(counts, out[:, None], where=out[:, None] > 0, out=0 * counts)
    if not counts[:, size].any():
        return none, none.copy(), 0.0
    visits = np.linalg.inv(np.eye(size) - chances[:, :size])
    converts = visits @ chances[:, size]
    start = converts[0]
    if start <= 0:
        return none, none.copy(), 0.0
    effects = visits[0, 1:] * converts[1:] / (np.diagonal(visits)[1:] * start)
    effects = np.clip(effects, 0.0, 1.0)
    total = effects.sum()
    return effects, effects / total if total > 0 else none, float(start)


def count_transitions(
    codes: NDArray[np.int64],
    offsets: NDArray[np.int64],
    ends: NDArray[np.bool_],
    channels: Sequence[str],
    times: NDArray[np.int64] | None = None,
) -> list[Transition]:
    """Steps of many paths at once: start to first, each to the next, last to the end.

    `codes` holds the channels (places in `channels`) of all paths, one path after the
    other; path i is `codes[offsets[i]:offsets[i + 1]]` (a path without touches goes
    from the start straight to its end), `ends[i]` says whether it converted, and
    `times[i]` how often it was seen (1).
    """
    count, size = len(channels), len(channels) + 3
    start, conversion, null = range(count, size)
    states = [*channels, START, CONVERSION, NULL]
    lengths = np.diff(offsets)
    full = lengths > 0
    end = np.where(ends, conversion, null)
    # each touch goes to the next; the last of a path to the path's end
    targets = np.empty(len(codes), dtype=np.int64)
    targets[:-1] = codes[1:]
    targets[offsets[1:][full] - 1] = end[full]
    first = end.copy()
    first[full] = codes[offsets[:-1][full]]
    of_step = None if times is None else np.repeat(times, lengths)
    # sums of whole numbers below 2^53 are exact in float64
    table = np.bincount(codes * size + targets, of_step, size * size)
    table += np.bincount(start * size + first, times, size * size).astype(table.dtype)
    return [
        (states[at // size], states[at % size], int(table[at]))
        for at in np.flatnonzero(table)
    ]
