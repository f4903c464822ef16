"""What follows from a firm's data: queries, sites, hits, clicks, messages, bills."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.world import (
        AdClick,
        DealProduct,
        Hit,
        Invoice,
        Message,
        PlacementCost,
        SearchTerm,
        World,
    )


def search_terms(world: World, platform: str) -> list[SearchTerm]:
    return []


def placements(world: World) -> list[PlacementCost]:
    return []


def hits(world: World) -> list[Hit]:
    return []


def clicks(world: World) -> list[AdClick]:
    return []


def messages(world: World) -> list[Message]:
    return []


def products(world: World) -> list[DealProduct]:
    return []


def invoices(world: World) -> list[Invoice]:
    return []
