"""Paints sky, road, pavement, and the shadows on them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg.demo.noise import Array, sample_texture
from edgeseg.demo.sprites import CamVid
from edgeseg.demo.street import Street
from edgeseg.demo.things import STEP_M, Kind, Thing
from edgeseg.demo.view import View

__all__ = ["paint_ground", "paint_shadow", "paint_sky"]

_SHADOW_WIDTHS = {Kind.CAR: 1.25, Kind.TREE: 0.9, Kind.PERSON: 1.0, Kind.CYCLIST: 1.1}


def paint_sky(view: View) -> None:
    """Paint the sky from the zenith down to the haze, with clouds that drift."""
    street = view.street
    fall = np.clip(view.ys / max(view.center_y, 1), 0, 1)[:, None, None] ** 1.3
    view.image[:] = street.zenith * (1 - fall) + street.haze * fall
    rows = slice(0, max(0, min(view.height, int(view.center_y) + 2)))
    up = (view.center_y + 8 - view.ys[rows])[:, None] / view.focal_px
    away = 3.0 / np.maximum(up, 0.02)
    across = (view.xs - view.center_x)[None] / view.focal_px * away
    drift = np.float32(0.002 * view.frame)
    puffs = 2 * sample_texture(0.22 * away + view.seed + 0 * across, 0.12 * across + drift) - 0.9
    cover = street.clouds * np.clip(puffs, 0, 1) * np.clip(9 * up, 0, 1)
    view.image[rows] += (np.float32(0.97) - view.image[rows]) * cover[:, :, None]


def paint_ground(view: View) -> None:
    """Paint everything below the horizon, as road or pavement."""
    street = view.street
    rows = slice(max(0, min(view.height, int(view.center_y) + 1)), view.height)
    drop = np.maximum(view.ys[rows] - view.center_y, 0.35)[:, None]
    z = street.camera_height * view.focal_px / drop
    x = (view.xs[None] - view.center_x) * z / view.focal_px + street.lane
    ahead = z + STEP_M * view.frame + 0 * x
    road = np.abs(x) <= street.half_road
    patches = sample_texture(ahead * 0.12, x * 0.12 + 5) - 0.5
    color = _draw_surface(street, x, ahead, z, road, patches)
    if street.wet:
        glare = road * np.clip(0.30 - 0.02 * np.abs(x) + 0.3 * patches, 0, 0.4)
        color += (street.haze - color) * glare[:, :, None]
    if street.sun:
        reach = 5.5 * abs(street.sun) + np.sin(0.7 * ahead)
        color[street.wall - x * np.sign(street.sun) < reach] *= 0.62
    view.image[rows] = view.in_haze(color, z[:, :, None])
    view.mask[rows] = np.where(road, CamVid.ROAD, CamVid.PAVEMENT)


def _draw_surface(
    street: Street,
    x: Array,
    ahead: Array,
    z: Array,
    road: npt.NDArray[np.bool_],
    patches: Array,
) -> Array:
    """Draw asphalt with markings, slabs with joints, and a curb between; (rows, columns, 3)."""
    asphalt = np.array((0.36, 0.35, 0.345), np.float32) * street.asphalt
    slabs = np.array((0.52, 0.55, 0.57), np.float32) * street.slabs
    grain = (sample_texture(ahead * 3, x * 3) - 0.5) * np.clip(12 / z, 0, 1)
    light = 1 + 0.28 * grain + 0.3 * patches
    color: Array = np.where(road[:, :, None], asphalt, slabs) * light[:, :, None]
    aside = np.abs(x)
    joints = ((ahead % 0.9 < 0.05) | (aside % 0.9 < 0.05)) & ~road & (z < 25)
    color[joints] *= 0.82
    color[~road & (aside < street.half_road + 0.18)] = 1.25 * slabs
    middle = (aside < 0.07) & (ahead % 6 < 3)
    edge = np.abs(aside - street.half_road + 0.35) < 0.06
    crossing = (ahead % 75 > 71.5) & (x % 1.0 < 0.5) & (aside < street.half_road - 0.3)
    painted = (middle | edge | crossing) & road
    paint = (0.25, 0.6, 0.7) if street.yellow_paint else (0.62, 0.62, 0.62)
    color[painted] = 0.25 * color[painted] + np.array(paint, np.float32)
    return color


def paint_shadow(view: View, thing: Thing) -> None:
    """Paint a dark ellipse under a thing, on road and pavement only."""
    if thing.kind not in _SHADOW_WIDTHS:
        return
    spread = _SHADOW_WIDTHS[thing.kind] * thing.width / 2
    x = view.column(thing.x - 0.25 * view.street.sun * spread, thing.z)
    y = view.row(0, thing.z)
    half_width = view.focal_px * spread / thing.z
    half_height = max(0.8, 0.15 * half_width * view.street.camera_height)
    region = view.region(x - half_width, x + half_width, y - half_height, y + half_height)
    if region is None:
        return
    rows, columns = region
    across = (view.xs[columns][None] - x) / half_width
    down = (view.ys[rows][:, None] - y) / half_height
    depth = np.clip(1 - across**2 - down**2, 0, 1) * (0.55 if view.street.sun else 0.4)
    below = view.mask[region]
    on_ground = (below == CamVid.ROAD) | (below == CamVid.PAVEMENT)
    view.image[region] *= (1 - depth * on_ground)[:, :, None]
