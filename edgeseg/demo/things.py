"""Places the things that stand beside the street and that move on it.

The street is divided into cells. The things of a cell are drawn from (seed, cell, side), so that
frame 10,000 needs no earlier frame. Distances are meters: x to the right of the street's middle, z
ahead of the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

import numpy as np

from edgeseg.demo.street import Street

__all__ = ["CELL_M", "FAR_M", "NEAR_M", "PLANES", "STEP_M", "Kind", "Thing", "place_things"]

STEP_M: Final = 0.45  # the camera moves this far between frames: 16 km/h at 10 frames a second
FAR_M: Final = 130.0
NEAR_M: Final = 2.5
CELL_M: Final = 9.0


class Kind(Enum):
    """What a thing is. The first three are planes along the street; the others face the camera."""

    BUILDING = auto()
    FENCE = auto()
    RAILING = auto()
    TREE = auto()
    LAMP = auto()
    SIGN = auto()
    TRAFFIC_LIGHT = auto()
    CAR = auto()
    PERSON = auto()
    CYCLIST = auto()


# Meters. Farther away a thing would be thinner than two pixels at 640x480, and is left out.
SEEN_M: Final = MappingProxyType(
    {
        Kind.LAMP: 60.0,
        Kind.SIGN: 60.0,
        Kind.TRAFFIC_LIGHT: 60.0,
        Kind.PERSON: 50.0,
        Kind.CYCLIST: 50.0,
        Kind.RAILING: 40.0,
    }
)

PLANES: Final = frozenset({Kind.BUILDING, Kind.FENCE, Kind.RAILING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A thing at (x, z), in meters.

    A plane reaches from z to z + width; anything else is `width` wide. `look` is the seed of its
    colors and shape.
    """

    kind: Kind
    x: float
    z: float
    width: float
    height: float
    look: int


def place_things(street: Street, seed: int, frame: int) -> Iterator[Thing]:
    """Place all things that may be visible in a frame, in no order."""
    for thing in _place_all(street, seed, frame):
        if thing.z < SEEN_M.get(thing.kind, FAR_M):
            yield thing


def _place_all(street: Street, seed: int, frame: int) -> Iterator[Thing]:
    traveled = STEP_M * frame
    first = int((traveled + NEAR_M) // CELL_M) - 1
    for cell in range(first, first + int(FAR_M / CELL_M) + 2):
        for side in (-1, 1):
            random = np.random.default_rng((seed, 2, cell + 1000, side + 1))
            start = cell * CELL_M - traveled
            yield from _place_lot(street, random, side, start)
            yield from _place_curbside(street, random, side, start, lamp=cell % 3 == 0)
    yield from _place_traffic(street, seed, frame)


def _place_lot(
    street: Street, random: np.random.Generator, side: int, start: float
) -> Iterator[Thing]:
    """Place a building, or trees behind a fence."""
    edge = side * street.wall
    if random.random() >= street.greenery:
        height = random.uniform(5.5, 17)
        yield _make_thing(Kind.BUILDING, edge, start, CELL_M, height, random)
        return
    yield _make_thing(Kind.FENCE, edge, start, CELL_M, random.uniform(0.9, 1.7), random)
    for _ in range(random.integers(1, 4)):
        height = random.uniform(4.5, 10)
        x = side * (street.wall + random.uniform(1.0, 6.0))
        z = start + random.uniform(0, CELL_M)
        yield _make_thing(Kind.TREE, x, z, height * random.uniform(0.5, 0.8), height, random)


def _place_curbside(
    street: Street, random: np.random.Generator, side: int, start: float, *, lamp: bool
) -> Iterator[Thing]:
    """Place street furniture, parked cars and people."""

    def at(beyond_curb: float) -> tuple[float, float]:
        return side * (street.half_road + beyond_curb), start + random.uniform(0, CELL_M)

    if lamp:
        yield _make_thing(Kind.LAMP, *at(0.45), 0.3, random.uniform(5, 7.5), random)
    yield from _place_furniture(street, random, side, start, at)
    if random.random() < 0.42:
        yield _make_thing(Kind.CAR, *at(-1.05), 1.8, random.uniform(1.4, 1.9), random)
    for _ in range(random.integers(0, 3)):
        place = at(random.uniform(0.6, street.pavement - 0.3))
        yield _make_thing(Kind.PERSON, *place, 0.62, random.uniform(1.5, 1.92), random)


def _place_furniture(
    street: Street,
    random: np.random.Generator,
    side: int,
    start: float,
    at: Callable[[float], tuple[float, float]],
) -> Iterator[Thing]:
    """Place what stands on the pavement; `at` draws a place some meters beyond the curb."""
    if random.random() < 0.36:
        place = at(random.uniform(0.4, 0.9))
        height = random.uniform(2.5, 3.3)
        yield _make_thing(Kind.SIGN, *place, random.uniform(0.75, 1.15), height, random)
    if random.random() < 0.16:
        yield _make_thing(Kind.TRAFFIC_LIGHT, *at(0.5), 0.5, random.uniform(3.0, 3.8), random)
    if random.random() < 0.2:
        height = random.uniform(3.5, 6)
        yield _make_thing(Kind.TREE, *at(0.9), 0.6 * height, height, random)
    if random.random() < 0.25:
        length = CELL_M * random.uniform(0.5, 1)
        yield _make_thing(
            Kind.RAILING, side * (street.half_road + 0.25), start, length, 1.05, random
        )


# Each mover comes again and again, each time with another look.
_MOVERS: Final = (Kind.CAR,) * 3 + (Kind.CYCLIST,) * 3 + (Kind.PERSON,) * 3
# Meters per frame along the street, relative to the camera.
_SPEEDS: Final = {Kind.CAR: (-1.5, -0.8), Kind.CYCLIST: (-0.45, 0.15), Kind.PERSON: (-0.57, -0.33)}


def _place_traffic(street: Street, seed: int, frame: int) -> Iterator[Thing]:
    random = np.random.default_rng((seed, 3))
    for index, kind in enumerate(_MOVERS):
        traveled = random.uniform(0, FAR_M) + random.uniform(*_SPEEDS[kind]) * frame
        lap, z = divmod(traveled, FAR_M)
        own = np.random.default_rng((seed, 4, index, int(lap) + 100_000))
        side = float(own.choice([-1, 1]))
        match kind:
            case Kind.CAR:
                x = (-0.5 if own.random() < 0.7 else 0.5) * street.half_road
                yield _make_thing(kind, x, z, 1.8, own.uniform(1.4, 2.1), own)
            case Kind.CYCLIST:
                x = side * (street.half_road - own.uniform(0.5, 2.0))
                yield _make_thing(kind, x, z, own.uniform(0.62, 1.5), own.uniform(1.6, 1.85), own)
            case _:
                crossing = index == len(_MOVERS) - 1
                beyond = own.uniform(0.5, street.pavement)
                x = own.uniform(0, street.half_road) if crossing else street.half_road + beyond
                yield _make_thing(kind, side * x, z, 0.62, own.uniform(1.5, 1.92), own)


def _make_thing(
    kind: Kind, x: float, z: float, width: float, height: float, random: np.random.Generator
) -> Thing:
    look = int(random.integers(1 << 30))
    return Thing(kind=kind, x=x, z=z, width=width, height=height, look=look)
