"""Draws things that face the camera, as layers of paint from back to front.

Each function gets positions within the thing: `u` from -1 (left edge) to 1 (right edge) and `v`
from 0 (ground) to 1 (top), arrays of the same shape. A layer says where it is, its color (BGR,
0..1, one for all positions or one for each) and its class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edgeseg.demo.noise import Array, sample_texture
from edgeseg.demo.street import Street
from edgeseg.demo.things import Kind, Thing

__all__ = ["DRAWINGS", "CamVid", "Layer", "draw_car_flank", "get_reach"]

Where = npt.NDArray[np.bool_]


class CamVid:
    """Class ids in CamVid's order."""

    SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)


class Layer(NamedTuple):
    """One stroke of paint; without a color it is only a label, for gaps that one sees through."""

    where: Where
    color: Array | None
    label: int


Drawing = Callable[[Thing, Street, Array, Array, int], Iterator[Layer]]

_LEAVES: Final = (
    (0.16, 0.36, 0.2),
    (0.14, 0.42, 0.26),
    (0.2, 0.46, 0.36),
    (0.12, 0.3, 0.16),
    (0.14, 0.4, 0.5),
)
_PAINTS: Final = (
    (0.75, 0.75, 0.76),
    (0.12, 0.12, 0.13),
    (0.2, 0.2, 0.62),
    (0.55, 0.25, 0.15),
    (0.42, 0.42, 0.44),
    (0.9, 0.9, 0.9),
    (0.2, 0.35, 0.2),
    (0.2, 0.55, 0.75),
)
_SKINS: Final = ((0.55, 0.65, 0.82), (0.35, 0.45, 0.62), (0.22, 0.3, 0.42))
_HAIRS: Final = ((0.08, 0.08, 0.1), (0.2, 0.3, 0.4), (0.5, 0.55, 0.6))
_TYRE: Final = (0.08, 0.08, 0.08)
_GLASS: Final = (0.22, 0.18, 0.16)


def draw_tree(thing: Thing, street: Street, u: Array, v: Array, _frame: int) -> Iterator[Layer]:
    """Draw a leaning trunk and a crown of seven balls with a rough edge."""
    random = np.random.default_rng(thing.look)
    bark = random.uniform(0.7, 1.3) * np.array((0.17, 0.22, 0.28))
    lean = random.uniform(-0.1, 0.1)
    trunk = (np.abs(u - lean * v) < 0.09 * (1.25 - v)) & (v < 0.6) & (v >= 0)
    yield Layer(trunk, _to_paint(bark), CamVid.TREE)
    leaf = _pick(random, _LEAVES) * random.uniform(0.75, 1.2)
    rough = sample_texture(u * 1.1 + thing.look % 37, v * 2.2 + thing.look % 11)
    inside = np.full(u.shape, -1.0)
    for _ in range(7):
        x, y = random.uniform(-0.55, 0.55), random.uniform(0.42, 0.82)
        radius = random.uniform(0.28, 0.5)
        inside = np.maximum(inside, radius - np.hypot(u - x, 2.0 * (v - y)))
    crown = (inside + 0.28 * (rough - 0.5) > 0.02) & (v > 0.2)
    lit = 0.72 + 0.9 * (rough - 0.5) + 0.25 * v - 0.15 * u * street.sun
    yield Layer(crown, _to_paint(leaf * lit[:, :, None]), CamVid.TREE)


def draw_lamp(thing: Thing, _street: Street, u: Array, v: Array, _frame: int) -> Iterator[Layer]:
    """Draw a post whose arm reaches over the road."""
    random = np.random.default_rng(thing.look)
    gray = np.array((0.38, 0.38, 0.38)) * random.uniform(0.45, 1.3)
    over = -np.sign(thing.x) * u
    post = (np.abs(u) < 0.55 + 0.5 * (v < 0.15)) & (v >= 0) & (v <= 1)
    arm = (np.abs(v - 0.985) < 0.012) & (over > 0) & (over < 8)
    head = (np.abs(v - 0.97) < 0.018) & (over > 6.0) & (over < 9.0)
    yield Layer(post | arm | head, _to_paint(gray), CamVid.POLE)


def draw_sign(thing: Thing, _street: Street, u: Array, v: Array, _frame: int) -> Iterator[Layer]:
    """Draw a plate with a rim on a post: disc, triangle, square or diamond."""
    random = np.random.default_rng(thing.look)
    post = (np.abs(u) < 0.1) & (v >= 0) & (v < 0.95)
    yield Layer(post, _to_paint((0.45, 0.45, 0.45)), CamVid.POLE)
    ratio = thing.height / (thing.width / 2)
    y = (v - 1) * ratio + 1  # -1 to 1 over the plate, in the units of u
    square = np.maximum(np.abs(u), np.abs(y))
    shapes = (
        (u**2 + y**2 < 1, u**2 + y**2 < 0.55, (0.1, 0.1, 0.8), (0.92, 0.92, 0.95)),
        (
            (y > -0.85) & (np.abs(u) < 0.62 * (0.95 - y)),
            (y > -0.6) & (np.abs(u) < 0.62 * (0.5 - y)),
            (0.1, 0.1, 0.8),
            (0.9, 0.9, 0.95),
        ),
        (square < 0.9, square < 0.7, (0.7, 0.3, 0.1), (0.75, 0.35, 0.12)),
        (
            np.abs(u) + np.abs(y) < 1,
            np.abs(u) + np.abs(y) < 0.75,
            (0.1, 0.75, 0.9),
            (0.12, 0.8, 0.95),
        ),
    )
    plate, face, rim_color, face_color = shapes[random.integers(len(shapes))]
    yield Layer(plate & (v <= 1), _to_paint(rim_color), CamVid.SIGN)
    yield Layer(plate & face, _to_paint(face_color), CamVid.SIGN)
    bar = plate & face & (np.abs(u) < 0.13) & (np.abs(y) < 0.45)
    yield Layer(bar, _to_paint(1 - np.round(np.array(face_color))), CamVid.SIGN)


def draw_traffic_light(
    thing: Thing, _street: Street, u: Array, v: Array, _frame: int
) -> Iterator[Layer]:
    """Draw three lamps in a box, one of them lit."""
    lit = np.random.default_rng(thing.look).integers(3)
    post = (np.abs(u) < 0.22) & (v >= 0) & (v < 0.75)
    yield Layer(post, _to_paint((0.2, 0.2, 0.2)), CamVid.POLE)
    box = (np.abs(u) < 0.8) & (v > 0.68) & (v <= 1)
    yield Layer(box, _to_paint((0.08, 0.09, 0.08)), CamVid.SIGN)
    for index, color in enumerate(((0.2, 0.75, 0.2), (0.1, 0.7, 0.95), (0.15, 0.15, 0.95))):
        disc = (u / 0.55) ** 2 + ((v - 0.735 - 0.1 * index) / 0.042) ** 2 < 1
        gain = 1.0 if index == lit else 0.22
        yield Layer(disc, _to_paint(gain * np.array(color)), CamVid.SIGN)


def draw_car(thing: Thing, street: Street, u: Array, v: Array, _frame: int) -> Iterator[Layer]:
    """Draw a car from the front or from behind."""
    across = np.abs(u)
    wheels = (np.abs(across - 0.78) < 0.14) & (v >= 0) & (v < 0.3)
    yield Layer(wheels, _to_paint(_TYRE), CamVid.CAR)
    body = (across < 1 - 0.9 * np.maximum(0, 0.16 - v)) & (v > 0.12) & (v < 0.6)
    rounded = across**6 + ((v - 0.5) * 2) ** 8 < 1.05
    cabin = (v >= 0.58) & (v < 1) & (across < 0.9 - 0.55 * (v - 0.58)) & rounded
    shade = 0.82 + 0.35 * v
    yield Layer(body | cabin, _to_paint(_pick_car_paint(thing) * shade[:, :, None]), CamVid.CAR)
    window = (v > 0.63) & (v < 0.9) & (across < 0.78 - 0.5 * (v - 0.58))
    mirrored = 0.25 * street.haze * np.clip(v - 0.6, 0, 1)[:, :, None]
    yield Layer(window, _to_paint(np.array(_GLASS) + mirrored), CamVid.CAR)
    front = np.random.default_rng((thing.look, 8)).random() < 0.5
    lights = (np.abs(across - 0.82) < 0.13) & (np.abs(v - 0.46) < 0.07)
    yield Layer(lights, _to_paint((0.85, 0.95, 0.98) if front else (0.12, 0.1, 0.7)), CamVid.CAR)
    number = (across < 0.28) & (np.abs(v - 0.32) < 0.05)
    yield Layer(number, _to_paint((0.6, 0.85, 0.88)), CamVid.CAR)
    bumper = (across < 0.92) & (v > 0.12) & (v < 0.2)
    yield Layer(bumper, _to_paint((0.14, 0.14, 0.14)), CamVid.CAR)


def draw_car_flank(thing: Thing, along: Array, v: Array) -> Iterator[Layer]:
    """Draw a car's side; `along` runs from 0 (the end that faces the camera) to 1."""
    body = (v > 0.16) & (v < 0.56 + 0.04 * np.sin(along * 3))
    slope = v - 0.55
    cabin = (v >= 0.55) & (v < 0.98) & (along > 0.06 + 0.12 * slope)
    cabin &= along < 0.72 - 0.35 * slope
    yield Layer(body | cabin, _to_paint(0.78 * _pick_car_paint(thing)), CamVid.CAR)
    glass = cabin & (v > 0.6) & (v < 0.9) & (along > 0.12) & (along < 0.64 - 0.35 * slope)
    yield Layer(glass & (np.abs(along - 0.38) > 0.02), _to_paint(_GLASS), CamVid.CAR)
    for center in (0.2, 0.8):
        wheel = np.hypot((along - center) * 4.1, (v - 0.2) * thing.height) < 0.33
        yield Layer(wheel, _to_paint(_TYRE), CamVid.CAR)


def draw_person(thing: Thing, _street: Street, u: Array, v: Array, frame: int) -> Iterator[Layer]:
    """Draw a person who walks."""
    random = np.random.default_rng(thing.look)
    skin, hair = _pick(random, _SKINS), _pick(random, _HAIRS)
    top, trousers = random.uniform(0.08, 0.75, (2, 3))
    across = np.abs(u)
    stride = 0.2 * np.sin(0.7 * frame + thing.look % 7) * (1 - v / 0.48)
    legs = (np.abs(u - stride - 0.16) < 0.2) | (np.abs(u + stride + 0.16) < 0.2)
    yield Layer(legs & (v >= 0) & (v < 0.5), _to_paint(trousers), CamVid.PEDESTRIAN)
    arms = (v > 0.44) & (v < 0.82) & (np.abs(across - 0.56) < 0.13)
    yield Layer(arms, _to_paint(0.8 * top), CamVid.PEDESTRIAN)
    torso = (v >= 0.46) & (v < 0.84) & (across < 0.42 + 0.2 * (v - 0.46))
    yield Layer(torso, _to_paint(top * (0.8 + 0.4 * v)[:, :, None]), CamVid.PEDESTRIAN)
    head = np.hypot(u * thing.width / 2, (v - 0.92) * thing.height) < 0.125
    neck = (across < 0.16) & (v > 0.82) & (v < 0.9)
    yield Layer(head | neck, _to_paint(skin), CamVid.PEDESTRIAN)
    yield Layer(head & (v > 0.93), _to_paint(hair), CamVid.PEDESTRIAN)


def draw_cyclist(thing: Thing, _street: Street, u: Array, v: Array, frame: int) -> Iterator[Layer]:
    """Draw a person on a bicycle: from behind if narrow, from the side if wide."""
    random = np.random.default_rng(thing.look)
    x, y = np.float32(thing.width / 2) * u, np.float32(thing.height) * v
    metal = random.uniform(0.1, 0.8, 3)
    sideways = thing.width > 1.0
    if sideways:
        for center in (0.34 - thing.width / 2, thing.width / 2 - 0.34):
            radius = np.hypot(x - center, y - 0.34)
            spokes = (radius < 0.31) & (sample_texture(9 * x, 9 * y) > 0.62)
            tyre = np.abs(radius - 0.31) < 0.045
            yield Layer(tyre | spokes, _to_paint(_TYRE), CamVid.BICYCLIST)
        frame_tubes = (np.abs(y - 0.55 - 0.25 * np.abs(x)) < 0.05) & (np.abs(x) < 0.42)
        yield Layer(frame_tubes, _to_paint(metal), CamVid.BICYCLIST)
    else:
        wheel = (np.abs(x) < 0.05) & (y >= 0) & (y < 0.68)
        yield Layer(wheel, _to_paint(_TYRE), CamVid.BICYCLIST)
        handlebar = (np.abs(y - 0.98) < 0.04) & (np.abs(x) < 0.3)
        yield Layer(handlebar, _to_paint(metal), CamVid.BICYCLIST)
    lean = 0.25 if sideways else 0.0
    top, trousers = random.uniform(0.1, 0.85, (2, 3))
    pedal = 0.08 * np.sin(0.9 * frame + thing.look % 5)
    legs = (y > 0.3 + pedal) & (np.abs(x + 0.05) < 0.1)
    legs |= (y > 0.3 - pedal) & (np.abs(x - 0.12) < 0.1)
    yield Layer(legs & (y < 0.95), _to_paint(trousers), CamVid.BICYCLIST)
    torso = (y > 0.85) & (y < 1.42) & (np.abs(x - lean * (y - 0.9)) < 0.2)
    yield Layer(torso, _to_paint(top), CamVid.BICYCLIST)
    head = np.hypot(x - 0.62 * lean, y - 1.54) < 0.13
    yield Layer(head, _to_paint(_SKINS[0]), CamVid.BICYCLIST)
    yield Layer(head & (y > 1.55), _to_paint(random.uniform(0.1, 0.9, 3)), CamVid.BICYCLIST)


DRAWINGS: Final[Mapping[Kind, Drawing]] = MappingProxyType(
    {
        Kind.TREE: draw_tree,
        Kind.LAMP: draw_lamp,
        Kind.SIGN: draw_sign,
        Kind.TRAFFIC_LIGHT: draw_traffic_light,
        Kind.CAR: draw_car,
        Kind.PERSON: draw_person,
        Kind.CYCLIST: draw_cyclist,
    }
)


def get_reach(kind: Kind) -> float:
    """Get how many times wider than the thing its drawing may be, as the arm of a lamp is."""
    return 9.0 if kind is Kind.LAMP else 1.0


def _pick_car_paint(thing: Thing) -> Array:
    random = np.random.default_rng((thing.look, 9))
    return _pick(random, _PAINTS) * np.float32(random.uniform(0.8, 1.1))


def _pick(random: np.random.Generator, colors: tuple[tuple[float, ...], ...]) -> Array:
    return _to_paint(colors[random.integers(len(colors))])


def _to_paint(color: npt.ArrayLike) -> Array:
    return np.asarray(color, np.float32)
