"""Draws a frame of a drive and its ground truth, from far to near."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edgeseg.demo import sprites
from edgeseg.demo.facades import paint_plane
from edgeseg.demo.ground import paint_ground, paint_shadow, paint_sky
from edgeseg.demo.street import Street, draw_street
from edgeseg.demo.things import CELL_M, FAR_M, NEAR_M, PLANES, Kind, Thing, place_things
from edgeseg.demo.view import View

__all__ = ["FPS", "Scene", "draw_scene"]

FPS: Final = 10.0

_CAR_LENGTH_M: Final = 4.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A frame and its ground truth."""

    image: npt.NDArray[np.uint8]  # (H, W, 3) BGR
    mask: npt.NDArray[np.uint8]  # (H, W) class ids in CamVid's order


def draw_scene(seed: int, frame: int, *, height: int = 480, width: int = 640) -> Scene:
    """Draw frame number `frame` of the drive `seed`: the same at every call.

    `height` and `width` are pixels. Consecutive frames differ as those of a moving camera do.
    """
    view = View(draw_street(seed), height=height, width=width, seed=seed, frame=frame)
    paint_sky(view)
    paint_ground(view)
    street = view.street
    for thing in sorted(
        place_things(street, seed, frame), key=lambda t: _measure_depth(t, street), reverse=True
    ):
        if thing.kind in PLANES:
            paint_plane(view, thing)
        elif NEAR_M < thing.z < FAR_M:
            paint_shadow(view, thing)
            _paint_sprite(view, thing)
    return Scene(image=_develop(view), mask=view.mask)


def _measure_depth(thing: Thing, street: Street) -> float:
    """Compute the depth, in meters, by which things are painted from far to near.

    A plane is painted before all things in its cell.
    """
    if thing.kind in PLANES:
        return thing.z + thing.width
    return thing.z + CELL_M if abs(thing.x) > street.wall else thing.z


def _paint_sprite(view: View, thing: Thing) -> None:
    if thing.kind is Kind.CAR:
        _paint_flank(view, thing)
    half = sprites.get_reach(thing.kind) * thing.width / 2
    region = view.region(
        view.column(thing.x - half, thing.z),
        view.column(thing.x + half, thing.z),
        view.row(thing.height, thing.z),
        view.row(0, thing.z),
    )
    if region is None:
        return
    x, y = view.at_distance(region, thing.z)
    u, v = np.broadcast_arrays((x - thing.x) / (thing.width / 2), y / thing.height)
    for layer in sprites.DRAWINGS[thing.kind](thing, view.street, u, v, view.frame):
        view.put(region, layer.where, layer.color, layer.label, thing.z)


def _paint_flank(view: View, thing: Thing) -> None:
    """Paint the side of a car that the camera passes, if it is visible."""
    away = thing.x - view.street.lane
    side = math.copysign(1, away)
    edge = thing.x - side * thing.width / 2
    if (edge - view.street.lane) * side < 0.15:  # ahead of the camera, not beside it
        return
    end = thing.z + _CAR_LENGTH_M
    left, right = sorted((view.column(edge, thing.z), view.column(edge, end)))
    region = view.region(left, right, view.row(thing.height, thing.z), view.row(0, thing.z))
    if region is None:
        return
    z, y = view.on_plane(region, edge, thing.z, end)
    along, v = np.broadcast_arrays((z - thing.z) / _CAR_LENGTH_M, y / thing.height)
    for layer in sprites.draw_car_flank(thing, along, v):
        view.put(region, layer.where, layer.color, layer.label, thing.z + _CAR_LENGTH_M / 2)


def _develop(view: View) -> npt.NDArray[np.uint8]:
    """Add light, blur, motion at the sides, rain, a vignette and noise; return 8-bit pixels."""
    random = np.random.default_rng((view.seed, 6, view.frame))
    image = view.image * view.street.gain
    image[1:-1] = 0.25 * image[:-2] + 0.5 * image[1:-1] + 0.25 * image[2:]
    image[:, 1:-1] = 0.25 * image[:, :-2] + 0.5 * image[:, 1:-1] + 0.25 * image[:, 2:]
    across = view.xs / view.width - 0.5
    down = view.ys / view.height - 0.5
    passing = np.clip(2 * np.abs(across) - 0.45, 0, 1).astype(np.float32)[None, :, None]
    smear = max(1, view.width // 220)
    moved = np.float32(0.5) * (np.roll(image, smear, axis=1) + np.roll(image, -smear, axis=1))
    image += passing * (moved - image)
    if view.street.wet:
        drops = random.random((view.height // 8 + 1, view.width)) > 0.988
        image += 0.12 * np.repeat(drops, 8, axis=0)[: view.height, :, None]
    vignette = 1 - 0.44 * ((across**2)[None] + (down**2)[:, None])
    image *= vignette[:, :, None]
    image += view.street.noise * random.standard_normal(image.shape, dtype=np.float32)
    developed: npt.NDArray[np.uint8] = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    return developed
