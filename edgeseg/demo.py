"""A drawn street that a camera drives along: frames for when nobody gave any.

Deterministic and made with NumPy alone, so that exporting and trying out work anywhere, offline.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgeseg.pixels import Bgr

__all__ = ["FPS", "scene"]

FPS = 10.0

_Mask = npt.NDArray[np.bool_]  # (H, W)

_ASPHALT, _LINE, _PAVEMENT, _LEAVES, _TRUNK = (
    (92, 88, 86),
    (225, 228, 230),
    (150, 152, 158),
    (58, 108, 62),
    (52, 66, 84),
)  # BGR


def scene(seed: int, frame: int, *, height: int = 480, width: int = 640) -> Bgr:
    """Frame number `frame` of the drive `seed`, (height, width, 3) uint8 BGR."""
    layout = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    # Unit coordinates: x from -1 to 1 about the vanishing point, y from 0 (top) to 1 (bottom).
    y, x = y / height, 2 * x / width - 1 + layout.uniform(-0.15, 0.15)
    horizon = float(layout.uniform(0.38, 0.48))
    depth = np.maximum(y - horizon, 1e-3) / (1 - horizon)  # 0 at the horizon, 1 at the camera
    canvas = _sky(y, horizon, layout)
    _draw_buildings(canvas, x, y, horizon, layout)
    _draw_ground(canvas, x, y, depth, horizon, frame)
    for _ in range(4):
        _draw_tree(canvas, x, y, horizon, frame, layout)
    for _ in range(3):
        _draw_car(canvas, x, y, horizon, frame, layout)
    noise = np.random.default_rng((seed, frame)).normal(0, 4, canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)


def _sky(
    y: npt.NDArray[np.float32], horizon: float, layout: np.random.Generator
) -> npt.NDArray[np.float32]:
    top = np.array(layout.uniform((170, 130, 90), (235, 190, 150)), np.float32)
    fade = np.clip(y / horizon, 0, 1)[:, :, None]
    colour: npt.NDArray[np.float32] = top * (1 - fade) + np.float32(225) * fade
    return colour


def _draw_buildings(
    canvas: npt.NDArray[np.float32],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    horizon: float,
    layout: np.random.Generator,
) -> None:
    for left in np.arange(-1.3, 1.3, 0.22):
        roof = horizon - layout.uniform(0.1, 0.32)
        wall: _Mask = (x >= left) & (x < left + 0.22) & (y >= roof) & (y < horizon + 0.03)
        colour = np.array(layout.uniform((80, 90, 110), (150, 165, 190)))
        window = ((x - left) * 18 % 1 > 0.45) & ((y - roof) * 30 % 1 > 0.5)
        canvas[wall] = colour
        canvas[wall & window] = 0.5 * colour


def _draw_ground(
    canvas: npt.NDArray[np.float32],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    depth: npt.NDArray[np.float32],
    horizon: float,
    frame: int,
) -> None:
    ground: _Mask = y >= horizon
    canvas[ground] = _PAVEMENT
    canvas[ground & (np.abs(x) < 0.85 * depth + 0.02)] = _ASPHALT
    distance = 1 / depth  # perspective: equal steps ahead shrink towards the horizon
    dash = (distance * 1.5 + 0.35 * frame) % 1 < 0.5
    canvas[ground & dash & (np.abs(x) < 0.025 * depth)] = _LINE


def _approach(layout: np.random.Generator, frame: int) -> float:
    """How near something is, 0 at the horizon to 1 at the camera. It comes, and starts anew."""
    return float((layout.uniform() + 0.012 * frame) % 1) ** 2 + 0.05


def _draw_tree(
    canvas: npt.NDArray[np.float32],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    horizon: float,
    frame: int,
    layout: np.random.Generator,
) -> None:
    near = _approach(layout, frame)
    side = 1.0 if layout.uniform() < 0.5 else -1.0
    centre, foot = side * (0.15 + 1.1 * near), horizon + near * (1 - horizon)
    top = foot - 0.6 * near
    trunk: _Mask = (np.abs(x - centre) < 0.03 * near) & (y < foot) & (y > top)
    crown: _Mask = (x - centre) ** 2 + (1.6 * (y - top)) ** 2 < (0.32 * near) ** 2
    canvas[trunk] = _TRUNK
    canvas[crown] = _LEAVES


def _draw_car(
    canvas: npt.NDArray[np.float32],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    horizon: float,
    frame: int,
    layout: np.random.Generator,
) -> None:
    near = 0.6 * _approach(layout, frame)
    centre = layout.choice([-0.42, 0.42]) * near
    foot = horizon + near * (1 - horizon)
    paint = np.array(layout.uniform((30, 30, 30), (220, 220, 220)))
    across, up = np.abs(x - centre) / near, (foot - y) / near
    canvas[(across < 0.3) & (up > 0.04) & (up < 0.26)] = paint
    canvas[(across < 0.22) & (up >= 0.26) & (up < 0.42)] = 0.6 * paint
    canvas[(across > 0.17) & (across < 0.27) & (up > 0) & (up < 0.1)] = 25
