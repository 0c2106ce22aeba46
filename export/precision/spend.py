"""Bits go where they buy most: from the cheapest format of each matrix upwards, the best exchange first."""

import heapq
from collections.abc import Mapping
from itertools import pairwise

from export.precision.matrix_costs import Cost
from quant.formats import BlockFormat

Costs = Mapping[str, Mapping[BlockFormat, Cost]]


def spend(costs: Costs, sizes: Mapping[str, int], bits: float) -> dict[str, BlockFormat]:
    """A format for each matrix; `sizes` in weights. On average no more than `bits` bits a weight, with scales and zero
    points, unless the cheapest formats already have more.

    Only steps along the lower convex hull of (bits, cost) are taken, each with the largest gain a bit: the optimum of
    the sum of costs for its size (Shoham & Gersho 1988).
    """
    hulls = {name: _hull(found) for name, found in costs.items()}
    chosen = {name: hull[0] for name, hull in hulls.items()}
    left = bits * sum(sizes.values()) - sum(fmt.bits_per_weight() * sizes[name] for name, fmt in chosen.items())
    steps = [
        (-_gain(costs[name], below, above) / sizes[name], name, place)
        for name, hull in hulls.items()
        for place, (below, above) in enumerate(pairwise(hull), 1)
    ]
    heapq.heapify(steps)
    full: set[str] = set()
    while steps:
        _, name, place = heapq.heappop(steps)
        above = hulls[name][place]
        price = (above.bits_per_weight() - chosen[name].bits_per_weight()) * sizes[name]
        if price > left:
            full.add(name)
        elif name not in full:
            chosen[name] = above
            left -= price
    return chosen


def _gain(costs: Mapping[BlockFormat, Cost], below: BlockFormat, above: BlockFormat) -> float:
    """Nats for one more bit of each weight."""
    return (costs[below].nats - costs[above].nats) / (above.bits_per_weight() - below.bits_per_weight())


def _hull(costs: Mapping[BlockFormat, Cost]) -> list[BlockFormat]:
    """From the cheapest up, formats that no mixture of others beats."""
    hull: list[BlockFormat] = []
    for fmt in sorted(costs, key=lambda fmt: (fmt.bits_per_weight(), costs[fmt].nats)):
        if hull and costs[fmt].nats >= costs[hull[-1]].nats:
            continue
        while len(hull) > 1 and _gain(costs, hull[-2], hull[-1]) <= _gain(costs, hull[-1], fmt):
            hull.pop()
        hull.append(fmt)
    return hull
