"""An RTSP camera on loopback, H.264. Run by the system's Python:

rtsp_server.py PORT [WHAT [USER PASSWORD]]

WHAT is `ball`, a moving test picture, or `ball:WIDTHxHEIGHT`; `clock`, the time drawn into each
picture, or `clock:LOG`, which also writes these numbers to a file; or a folder of 00000.jpg,
00001.jpg, ... played over and over at 30 a second. With USER and PASSWORD whoever gives others is
refused (digest authentication). Prints its address once it listens, and
serves until it is ended.
"""

from __future__ import annotations

import sys
from pathlib import Path

import clock
import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

CLOCK_RATE = 25
# With several threads, x264 coded half of the first picture gray in 25 of 260 streams; with one, in
# none of 150.
ENCODE = (
    "videoconvert ! video/x-raw,format=I420"
    " ! x264enc tune=zerolatency threads=1 speed-preset=ultrafast"
)
SEND = "key-int-max=15 ! rtph264pay name=pay0"
BALL = (
    "videotestsrc is-live=true pattern=ball"
    " ! video/x-raw,width={width},height={height},framerate=15/1"
)
CLOCK = (
    "appsrc name=clock is-live=true do-timestamp=true format=time caps=video/x-raw,format=GRAY8,"
    f"width={clock.WIDTH},height={clock.HEIGHT},framerate={CLOCK_RATE}/1"
)
JPEGS = (
    "multifilesrc location={folder}/%05d.jpg loop=true caps=image/jpeg,framerate=30/1 ! jpegdec"
    " ! identity sync=true"
)


def pipeline(what: str) -> str:
    name, _, size = what.partition(":")
    if name == "ball":
        width, height = (size or "320x240").split("x")
        source = BALL.format(width=width, height=height)
    else:
        source = CLOCK if name == "clock" else JPEGS.format(folder=what)
    return f"( {source} ! {ENCODE} {SEND} )"


def feed(_factory: object, media: GstRtspServer.RTSPMedia) -> None:
    """Push a picture of the time now, again and again."""
    source = media.get_element().get_child_by_name("clock")

    def push() -> bool:
        number = clock.now_ms()
        if log is not None:
            print(number, file=log, flush=True)
        drawn = Gst.Buffer.new_wrapped(clock.draw(number))
        return source.emit("push-buffer", drawn) == Gst.FlowReturn.OK

    GLib.timeout_add(1000 // CLOCK_RATE, push)


def guard(factory: GstRtspServer.RTSPMediaFactory, user: str, password: str) -> None:
    """Serve nobody else."""
    permissions = Gst.Structure.new_empty(user)
    for name in ("media.factory.access", "media.factory.construct"):
        permissions.set_value(name, True)
    roles = GstRtspServer.RTSPPermissions()
    roles.add_role_from_structure(permissions)
    factory.set_permissions(roles)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)


Gst.init(None)
shown = sys.argv[2] if len(sys.argv) > 2 else "ball"
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(pipeline(shown))
factory.set_shared(True)
name, _, path = shown.partition(":")
log = Path(path).open("a") if name == "clock" and path else None  # noqa: SIM115  # to the end
if name == "clock":
    factory.connect("media-configure", feed)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
if len(sys.argv) > 4:
    guard(factory, *sys.argv[3:])
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print(f"rtsp://127.0.0.1:{server.get_bound_port()}/camera", flush=True)
GLib.MainLoop().run()
