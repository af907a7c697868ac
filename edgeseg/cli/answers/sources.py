"""Words for what `edgeseg sources` found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edgeseg.machine.extras import make_install_command
from edgeseg.text import list_some, to_plain

__all__ = ["describe_sources", "suggest_camera"]

_BY_ID: Final = "/dev/v4l/by-id/"


def describe_sources(found: Mapping[str, Any]) -> list[str]:
    """Describe each camera, and each kind of source that `edgeseg run` takes here."""
    lines = [line for camera in found["cameras"] for line in _describe_camera(camera)]
    if not found["cameras"]:
        lines.append(
            "no camera: no device /dev/video* gives pictures; a Raspberry Pi's or a Jetson's own "
            "camera may need --gstreamer"
        )
    lines += _describe_readers(found["opencv"], found["pyav"])
    lines += _describe_schemes(found["schemes"])
    lines.append(
        "files: videos, images, folders, patterns, frames/%06d.png, file://, drive.mcap:/image"
    )
    lines.append("also: demo, and - for standard input")
    lines += [f"problem: {p['what']}; to fix it: {p['remedy']}" for p in found["problems"]]
    return lines


def suggest_camera(found: Mapping[str, Any]) -> str | None:
    """Suggest how to name the first camera so that the name stays; None where there is none."""
    camera = next(iter(found["cameras"]), None)
    if camera is None:
        return None
    stable = [link for link in camera["links"] if link.startswith(_BY_ID)]
    return str(next(iter(stable or camera["links"]), camera["device"]))


def _describe_camera(camera: Mapping[str, Any]) -> Iterator[str]:
    name = to_plain(camera["name"])
    yield f"camera {camera['device']}: {name} ({camera['driver']}, {to_plain(camera['bus'])})"
    yield from (f"  also {link}" for link in camera["links"])
    if not camera["formats"]:
        yield "  its driver lists no formats"
    for form in camera["formats"]:
        sizes = "; ".join(map(_describe_size, form["sizes"])) or "its driver lists no sizes"
        yield f"  {form['code']} ({to_plain(form['description'])}): {sizes}"


def _describe_size(size: Mapping[str, Any]) -> str:
    rates = list_some([f"{rate:g}" for rate in size["rates"]], 4)
    return f"{size['height']}x{size['width']}" + (f" at {rates}" if rates else "")


def _describe_readers(opencv: Mapping[str, Any] | None, pyav: str | None) -> Iterator[str]:
    if opencv is None:
        yield f"OpenCV: not installed, so no cameras; {make_install_command(['opencv'])}"
    elif "error" in opencv:
        yield f"OpenCV: {opencv['error']}"
    else:
        has = [
            f"{title}: {'yes' if opencv[part] else 'no'}"
            for title, part in (("FFmpeg", "ffmpeg"), ("GStreamer (--gstreamer)", "gstreamer"))
        ]
        yield f"OpenCV {opencv['version']}, {', '.join(has)}"
    install = make_install_command(["video"])
    yield f"PyAV: {pyav or f'not installed; {install}'}"


def _describe_schemes(schemes: Mapping[str, bool | None]) -> Iterator[str]:
    for what, answer in (
        ("streams", True),
        ("not in the FFmpeg of this OpenCV and PyAV", False),
        ("streams that may work", None),
    ):
        names = [f"{name}://" for name, known in schemes.items() if known is answer]
        if names:
            yield f"{what}: {', '.join(names)}"
