"""Connected components of identifiers and the oldest identifier of each, in numpy.

Nothing here knows of a database: arrays come in, arrays go out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Int32s = NDArray[np.int32]
    Int64s = NDArray[np.int64]
    Texts = Mapping[int, tuple[str, str]]

T = TypeVar("T", bound=np.generic)
NEVER = np.iinfo(np.int64).max  # the moment of what was seen at no known time
KINDS = 64  # a node id is a serial times this, plus the code of its kind
CHUNK = 1 << 17
# an odd number near 2^64 / golden ratio spreads whatever is left of a hash
_SPREAD = 0x9E3779B97F4A7C15


class Lookup:
    """Finds the position of 64-bit hashes in an array of distinct ones.

    A few open tables instead of sorting: what finds no free slot in one table goes to
    the next, which is as much smaller as there is less left (8 tables for 10 million).
    """

    def __init__(self, hashes: Int64s) -> None:
        """Raises ValueError when two of the hashes are equal."""
        self._hashes = hashes
        self._tables: list[tuple[int, Int32s]] = []
        left = np.arange(len(hashes), dtype=np.int32)
        while len(left):
            bits = max(1, (2 * len(left) - 1).bit_length())
            slots = self._slots(hashes[left], len(self._tables), bits)
            table = np.full(1 << bits, -1, dtype=np.int32)
            table[slots] = left
            self._tables.append((bits, table))
            winners = _take(table, slots)
            lost = winners != left
            left, winners = left[lost], winners[lost]
            # equal ones meet in the same slot of whatever table
            if np.any(hashes[left] == hashes[winners]):
                raise ValueError("two hashes are equal")

    @staticmethod
    def _slots(hashes: Int64s, number: int, bits: int) -> Int32s:
        spread = hashes.view(np.uint64)
        if number:
            spread = spread * np.uint64(_SPREAD + 2 * number)
        slots: Int32s = (spread >> np.uint64(64 - bits)).astype(np.int32)
        return slots

    def positions(self, hashes: Int64s) -> Int32s:
        """Where each hash stands; -1 for one that is not there."""
        if len(hashes) <= CHUNK:
            return self._positions(hashes)
        # small pieces stay in the processor's cache
        found = np.empty(len(hashes), dtype=np.int32)
        for start in range(0, len(hashes), CHUNK):
            part = slice(start, start + CHUNK)
            found[part] = self._positions(hashes[part])
        return found

    def _positions(self, hashes: Int64s) -> Int32s:
        found = np.full(len(hashes), -1, dtype=np.int32)
        if not self._tables:
            return found
        asked = np.arange(len(hashes))
        for number, (bits, table) in enumerate(self._tables):
            now = hashes if number == 0 else hashes[asked]
            places = _take(table, self._slots(now, number, bits))
            # where a slot is free (-1) this compares with the first
            right = (_take(self._hashes, places) == now) & (places >= 0)
            if number == 0:
                np.copyto(found, places, where=right)
                asked = np.flatnonzero(~right)
            else:
                found[asked[right]] = places[right]
                asked = asked[~right]
            if not len(asked):
                break
        return found


def components(size: int, left: Int32s, right: Int32s) -> Int32s:
    """The lowest position in each node's component, of `size` nodes.

    Edges may stand twice, in both directions, or join a node to itself. One round of
    hanging the higher end on the lower leaves few edges between what hangs together:
    scipy, which works the cheaper the smaller the graph, takes those.
    """
    above = np.arange(size, dtype=np.int32)
    above[np.maximum(left, right)] = np.minimum(left, right)
    _climb(above)
    left, right = _take(above, left), _take(above, right)
    apart = left != right
    left, right = left[apart], right[apart]
    if not len(left):
        return above
    is_open = np.zeros(size, dtype=bool)
    is_open[left] = True
    is_open[right] = True
    nodes = np.flatnonzero(is_open).astype(np.int32)
    place = np.empty(size, dtype=np.int32)
    place[nodes] = np.arange(len(nodes), dtype=np.int32)
    graph = coo_array(
        (np.ones(len(left), dtype=np.int8), (place[left], place[right])),
        shape=(len(nodes), len(nodes)),
    )
    count, labels = connected_components(graph, directed=False)
    lowest = np.empty(count, dtype=np.int32)
    # backwards, so that the first of each component stays
    lowest[labels[::-1]] = nodes[::-1]
    above[nodes] = lowest[labels]
    return _take(above, above)


def _climb(above: Int32s) -> None:
    """Hang each node on the top of the chain above it: half the way in every pass."""
    low = _take(above, above)
    rest = np.flatnonzero(low != above).astype(np.int32)
    above[:] = low
    while len(rest):
        were = _take(above, rest)
        now = _take(above, were)
        above[rest] = now
        rest = rest[now != were]


def _take(values: NDArray[T], places: NDArray[np.integer]) -> NDArray[T]:
    """values[places] in half the time; every place has to be in range."""
    return np.take(values, places, mode="clip")


def oldest(
    lowest: Int32s,
    ids: Int64s,
    first_seen: Int64s,
    ranks: NDArray[np.int16],
    texts: Callable[[Int64s], Texts],
) -> Int32s:
    """The position of the oldest node of each node's component.

    `lowest` is what `components` found. The order is (first seen, rank of its kind,
    identifier); `ranks[code]` is the place of a kind among the kinds in the order of
    their names, NEVER comes last. `texts` gives (kind, identifier) for the few ids that
    the first two leave equal.
    """
    chosen = np.empty(len(lowest), dtype=np.int32)
    earliest = first_seen.copy()
    np.minimum.at(earliest, lowest, first_seen)
    first = np.flatnonzero(first_seen == _take(earliest, lowest)).astype(np.int32)
    del earliest
    first = _choose(chosen, lowest, first)
    if len(first):
        rank = ranks[ids[first] % KINDS]
        best = np.full(len(lowest), np.iinfo(np.int16).max, dtype=np.int16)
        np.minimum.at(best, lowest[first], rank)
        first = _choose(chosen, lowest, first[rank == best[lowest[first]]])
    if len(first):
        names = texts(ids[first])
        order = sorted(first.tolist(), key=lambda place: names[int(ids[place])])
        # backwards, so that the first of each component stays
        first = np.array(order[::-1], dtype=np.int32)
        chosen[lowest[first]] = first
    return _take(chosen, lowest)


def _choose(chosen: Int32s, lowest: Int32s, nodes: Int32s) -> Int32s:
    """Note one of these nodes for its component; -> those that are not the only one."""
    of = _take(lowest, nodes)
    chosen[of] = nodes
    beaten = of[_take(chosen, of) != nodes]
    if not len(beaten):
        return nodes[:0]
    is_tied = np.zeros(len(lowest), dtype=bool)
    is_tied[beaten] = True
    return nodes[is_tied[of]]


def bridges(
    nodes: Sequence[int], edges: Iterable[tuple[int, int]]
) -> list[tuple[tuple[int, int], int]]:
    """The edges of one component that alone hold it together, and how much each cuts off.

    (edge, nodes on its smaller side), the most first. Tarjan's bridges: an edge to a
    child is one when nothing below the child reaches above it.
    """
    around: dict[int, list[tuple[int, tuple[int, int]]]] = {n: [] for n in nodes}
    for edge in {(min(pair), max(pair)): pair for pair in edges}.values():
        left, right = edge
        if left != right:
            around[left].append((right, edge))
            around[right].append((left, edge))
    found: list[tuple[tuple[int, int], int]] = []
    met: dict[int, int] = {}
    lowest: dict[int, int] = {}
    size: dict[int, int] = {}
    for root in nodes:
        if root in met:
            continue
        met[root] = lowest[root] = len(met)
        size[root] = 1
        stack = [(root, (root, root), iter(around[root]))]
        while stack:
            node, came_by, ahead = stack[-1]
            for other, edge in ahead:
                if other not in met:
                    met[other] = lowest[other] = len(met)
                    size[other] = 1
                    stack.append((other, edge, iter(around[other])))
                    break
                if edge != came_by:
                    lowest[node] = min(lowest[node], met[other])
            else:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                    size[above] += size[node]
                    if lowest[node] > met[above]:
                        found.append((came_by, size[node]))
    return sorted(
        ((edge, min(below, len(nodes) - below)) for edge, below in found),
        key=lambda each: (-each[1], each[0]),
    )
