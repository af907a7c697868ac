"""Paints the vertical planes along the street: buildings, fences, railings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from edgeseg.demo.noise import Array, sample_texture
from edgeseg.demo.sprites import CamVid, Layer
from edgeseg.demo.street import Street
from edgeseg.demo.things import FAR_M, NEAR_M, Kind, Thing
from edgeseg.demo.view import View

__all__ = ["paint_plane"]

# Planes are cut off this close to the camera.
_CUT_M: Final = NEAR_M / 2
_BUILDING_DEPTH_M: Final = 12.0

_WALLS: Final = (
    (0.30, 0.36, 0.55),
    (0.45, 0.5, 0.56),
    (0.55, 0.62, 0.68),
    (0.36, 0.42, 0.5),
    (0.5, 0.48, 0.46),
    (0.28, 0.3, 0.42),
    (0.62, 0.66, 0.7),
)
_FENCES: Final = ((0.16, 0.2, 0.26), (0.3, 0.42, 0.5), (0.45, 0.48, 0.5))


def paint_plane(view: View, thing: Thing) -> None:
    """Paint a plane from z to z + width, and a building's end that faces the camera."""
    near, far = max(thing.z, _CUT_M), thing.z + thing.width
    if far <= _CUT_M or near > FAR_M:
        return
    if thing.kind is Kind.BUILDING and thing.z > NEAR_M:
        _paint_end(view, thing)
    left, right = sorted((view.column(thing.x, near), view.column(thing.x, far)))
    region = view.region(left, right, view.row(thing.height, near), view.row(0, near))
    if region is None:
        return
    z, y = view.on_plane(region, thing.x, near, far)
    along = z - thing.z + 0 * y
    across = view.xs[region[1]][None]
    inside = (y >= 0) & (y <= thing.height) & (across >= left) & (across < right)
    # A wall is lighter where the sun shines on it.
    lit = np.float32(1 - 0.22 * view.street.sun * np.sign(thing.x))
    draw = {Kind.BUILDING: _draw_building, Kind.FENCE: _draw_fence, Kind.RAILING: _draw_railing}[
        thing.kind
    ]
    for layer in draw(thing, view.street, along, y, z):
        color = None if layer.color is None else layer.color * lit
        view.put(region, layer.where & inside, color, layer.label, z)


def _draw_building(
    thing: Thing, street: Street, along: Array, y: Array, z: Array
) -> Iterator[Layer]:
    """Draw bricks, rows of windows, perhaps a shop, and a cornice."""
    random = np.random.default_rng(thing.look)
    base = _pick_wall_color(random)
    grain = sample_texture(along * 2 + thing.look % 50, y * 2) - 0.5
    bricks = (y % 0.24 < 0.05) & (z < 14)
    color = base * (1 + 0.25 * grain - 0.1 * bricks)[:, :, None]
    bay, floor = random.uniform(1.8, 3.0), random.uniform(2.7, 3.4)
    aside, up = np.abs(along % bay / bay - 0.5), y % floor / floor
    frames = (aside < 0.36) & (up > 0.26) & (up < 0.86) & (y > 0.2)
    color[frames] = 1.25 * base
    panes = (aside < random.uniform(0.18, 0.32)) & (up > 0.3) & (up < 0.82) & (y > 0.2)
    mirrored = sample_texture(along // bay * 3.3, y // floor * 2.1)[:, :, None]
    glass = np.array((0.32, 0.26, 0.22), np.float32) + 0.35 * street.haze * mirrored
    color = np.where(panes[:, :, None], glass, color)
    if random.random() < 0.4:
        color[(y > 2.5) & (y < 3.1)] = random.uniform(0.1, 0.7, 3)
    color[y > thing.height - 0.35] = 0.7 * base
    yield Layer(np.ones(y.shape, bool), color.astype(np.float32), CamVid.BUILDING)


def _draw_fence(thing: Thing, _street: Street, along: Array, y: Array, z: Array) -> Iterator[Layer]:
    """Draw palings, boards, or a low wall."""
    random = np.random.default_rng(thing.look)
    style = random.integers(len(_FENCES))
    base = np.array(_FENCES[style], np.float32) * np.float32(random.uniform(0.8, 1.2))
    everywhere = np.ones(y.shape, bool)
    if style == 2:
        grain = 0.4 * (sample_texture(along * 3, y * 3) - 0.5) - 0.15 * (y % 0.3 < 0.05)
        yield Layer(everywhere, base * (1 + grain)[:, :, None], CamVid.FENCE)
        return
    grain = (1 + 0.3 * (sample_texture(along * 6, y) - 0.5))[:, :, None]
    yield Layer(everywhere, 0.55 * base * grain, CamVid.FENCE)
    gap = 0.16 if style else 0.3
    rails = (np.abs(y - 0.3) < 0.06) | (np.abs(y - thing.height + 0.15) < 0.06)
    boards = (along % gap < 0.72 * gap) | (z > 22) | rails
    yield Layer(boards, base * grain, CamVid.FENCE)


def _draw_railing(
    thing: Thing, _street: Street, along: Array, y: Array, _z: Array
) -> Iterator[Layer]:
    """Draw bars that one can see through."""
    random = np.random.default_rng(thing.look)
    color = np.full(3, 0.5 * random.uniform(0.5, 1.2), np.float32)
    rails = (np.abs(y - 1.0) < 0.05) | (np.abs(y - 0.25) < 0.04)
    # People label the whole of a railing as fence, also between the bars.
    yield Layer(np.ones(y.shape, bool), None, CamVid.FENCE)
    yield Layer((along % 0.35 < 0.07) | rails, color, CamVid.FENCE)


def _paint_end(view: View, thing: Thing) -> None:
    outer = thing.x + np.sign(thing.x) * _BUILDING_DEPTH_M
    left, right = sorted((view.column(thing.x, thing.z), view.column(outer, thing.z)))
    top, bottom = view.row(thing.height, thing.z), view.row(0, thing.z)
    region = view.region(left, right, top, bottom)
    if region is None:
        return
    random = np.random.default_rng(thing.look)
    base = _pick_wall_color(random) * np.float32(0.72 + 0.2 * random.random())
    x, y = view.at_distance(region, thing.z)
    grain = sample_texture(2 * y + 0 * x, 2 * x + 0 * y) - 0.5
    rows, columns = view.ys[region[0]][:, None], view.xs[region[1]][None]
    inside = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    color = base * (1 + 0.25 * grain)[:, :, None]
    view.put(region, inside, color, CamVid.BUILDING, thing.z)


def _pick_wall_color(random: np.random.Generator) -> Array:
    chosen = np.array(_WALLS[random.integers(len(_WALLS))], np.float32)
    return chosen * np.float32(random.uniform(0.75, 1.2))
