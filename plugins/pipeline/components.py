"""Connected components of identifiers and the oldest identifier of each, in numpy.

Nothing here knows of a database: arrays come in, arrays go out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Int32s = NDArray[np.int32]
    Int64s = NDArray[np.int64]
    Texts = Mapping[int, tuple[str, str]]

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
            winners = table[slots]
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
            places = table[self._slots(now, number, bits)]
            right = (places >= 0) & (self._hashes[places] == now)
            if number == 0:
                np.copyto(found, places, where=right)
                asked = np.flatnonzero(~right)
            else:
                found[asked[right]] = places[right]
                asked = asked[~right]
            if not len(asked):
                break
        return found


def components(
    size: int, left: NDArray[np.integer], right: NDArray[np.integer]
) -> tuple[int, Int32s]:
    """How many components `size` nodes make, and the number of each node's.

    Edges may stand twice, in both directions, or join a node to itself.
    """
    graph = coo_array(
        (np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size)
    )
    count, labels = connected_components(graph, directed=False)
    return int(count), labels


def oldest(
    count: int,
    labels: Int32s,
    ids: Int64s,
    first_seen: Int64s,
    ranks: NDArray[np.int16],
    texts: Callable[[Int64s], Texts],
) -> Int64s:
    """The id of each component's oldest node.

    By (first seen, rank of its kind, identifier); `ranks[code]` is the place of a kind
    among the kinds in the order of their names, NEVER comes last. `texts` gives
    (kind, identifier) for the few ids that the first two leave equal.
    """
    earliest = np.full(count, NEVER, dtype=np.int64)
    np.minimum.at(earliest, labels, first_seen)
    first = np.flatnonzero(first_seen == earliest[labels])
    rank = ranks[(ids[first] % KINDS).astype(np.int64)]
    lowest = np.full(count, np.iinfo(np.int16).max, dtype=np.int16)
    np.minimum.at(lowest, labels[first], rank)
    first = first[rank == lowest[labels[first]]]
    chosen = np.zeros(count, dtype=np.int64)
    chosen[labels[first]] = ids[first]
    equals = np.bincount(labels[first], minlength=count)
    tied = first[equals[labels[first]] > 1]
    if len(tied):
        names = texts(ids[tied])
        best: dict[int, tuple[str, str]] = {}
        for label, node in zip(labels[tied].tolist(), ids[tied].tolist(), strict=True):
            name = names[node]
            if label not in best or name < best[label]:
                best[label] = name
                chosen[label] = node
    return chosen


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
