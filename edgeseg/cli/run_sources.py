"""The options that name the sources of a run, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgeseg.cli.grouped import group_options
from edgeseg.cli.options import read_camera, report_wrong_usage, say
from edgeseg.cli.sizes import parse_size

if TYPE_CHECKING:
    from edgeseg.runtime.sources.live.raw import RawFrames
    from edgeseg.runtime.sources.named import NamedSource
    from edgeseg.runtime.sources.options import CameraOptions

__all__ = ["GivenSources", "add_source_options"]

_CameraOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NUMBER|DEVICE",
        help="Camera: its number, for example 0, or its device, such as /dev/video0 or a link to "
        "it. Repeat it for several.",
    ),
]
_SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SOURCE",
        help="Video, image, folder, pattern in quotes, image sequence such as frames/%06d.png, "
        "camera (0, /dev/video0 or a link to it), URL (rtsp, rtmp, srt, udp, tcp, http, file), "
        "topic of a ROS bag (drive.mcap:/image), - for standard input (JPEGs, a video, or "
        "raw frames), or `demo`. Repeat it for several, or give a .toml file whose table `sources` "
        "names them.",
    ),
]
_RawSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="HxW",
        help="Size of the raw frames of --source -, height x width in pixels.",
    ),
]
_RawFormatOption = Annotated[
    str | None,
    typer.Option(
        metavar="bgr24|rgb24|gray|yuv420p|nv12",
        help="Format of the raw frames of --source -, as FFmpeg names it.",
    ),
]
_GstreamerOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PIPELINE",
        help="GStreamer pipeline that ends in an appsink, for CSI cameras. Repeat it for several.",
    ),
]
_CameraSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="HxW",
        help="Frame size to ask a camera for, height x width in pixels.",
        show_default="the camera's",
    ),
]
_CameraFpsOption = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        help="Frames per second to ask a camera for.",
        show_default="the camera's",
    ),
]
_OPTIONS: Final = MappingProxyType(
    {
        "camera": _CameraOption,
        "source": _SourceOption,
        "gstreamer": _GstreamerOption,
        "camera_size": _CameraSizeOption,
        "camera_fps": _CameraFpsOption,
        "raw_size": _RawSizeOption,
        "raw_format": _RawFormatOption,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSources:
    """The sources that were named, what is asked of cameras, and what standard input holds."""

    sources: tuple[NamedSource, ...]
    camera: CameraOptions
    raw: RawFrames | None


def _collect(given: dict[str, Any]) -> GivenSources:
    sources = _collect_sources(
        given["camera"] or [], given["source"] or [], given["gstreamer"] or []
    )
    return GivenSources(
        sources=sources,
        camera=_describe_camera(sources, given["camera_size"], given["camera_fps"]),
        raw=_describe_raw(sources, given["raw_size"], given["raw_format"]),
    )


def _collect_sources(
    cameras: list[str], sources: list[str], pipelines: list[str]
) -> tuple[NamedSource, ...]:
    """Collect the sources that were named."""
    from edgeseg.runtime.sources import GSTREAMER
    from edgeseg.runtime.sources.named import name_sources

    devices = map(read_camera, cameras)
    given = [*devices, *sources, *(f"{GSTREAMER}{one}" for one in pipelines)]
    if not given:
        raise typer.BadParameter(
            "no source is named; give one of --camera, --source and --gstreamer, or several"
        )
    with report_wrong_usage():
        return name_sources(given)


def _describe_raw(
    sources: tuple[NamedSource, ...], raw_size: str | None, raw_format: str | None
) -> RawFrames | None:
    from edgeseg.runtime.sources.address import STDIN
    from edgeseg.runtime.sources.live.raw import RawFrames

    if raw_size is None and raw_format is None:
        return None
    if STDIN not in [source.uri for source in sources]:
        raise typer.BadParameter(
            "--raw-size and --raw-format are for standard input; add --source -"
        )
    if raw_size is None or raw_format is None:
        missing = "--raw-size" if raw_size is None else "--raw-format"
        raise typer.BadParameter(f"raw frames need --raw-size and --raw-format; add {missing}")
    height, width = parse_size(raw_size, "--raw-size")
    with report_wrong_usage():
        return RawFrames(height=height, width=width, format=raw_format)


def _describe_camera(
    sources: tuple[NamedSource, ...], camera_size: str | None, camera_fps: float | None
) -> CameraOptions:
    """Describe what is asked of every camera."""
    from edgeseg.runtime.sources.address import is_camera
    from edgeseg.runtime.sources.options import CameraOptions

    is_asked = camera_size is not None or camera_fps is not None
    if is_asked and not any(is_camera(source.uri) for source in sources):
        raise typer.BadParameter("--camera-size and --camera-fps need a camera; give --camera")
    height, width = (None, None) if camera_size is None else _parse_camera_size(camera_size)
    return CameraOptions(width=width, height=height, fps=camera_fps)


def _parse_camera_size(text: str) -> tuple[int, int]:
    """Parse height and width; warn if they seem to be swapped."""
    height, width = parse_size(text, "--camera-size")
    if height > width:
        say(
            f"--camera-size {text} is {height} high and {width} wide (height x width); "
            f"did you mean {width}x{height}?"
        )
    return height, width


# Gives a command these options, in place of its parameter `given`.
add_source_options = group_options("given", _OPTIONS, _collect)
