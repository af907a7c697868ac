"""An RTSP server on loopback that takes what a client announces. Run by the system's Python:

rtsp_recorder.py FILE

Prints its address, and writes the stream's H.264 as it comes.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

TAKE = (
    "( rtph264depay name=depay0 ! video/x-h264,stream-format=byte-stream,alignment=au "
    f"! filesink buffer-mode=unbuffered sync=false location={sys.argv[1]} )"
)

Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(TAKE)
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_latency(100)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
server.get_mount_points().add_factory("/street", factory)
server.attach(None)
print(f"rtsp://127.0.0.1:{server.get_bound_port()}/street", flush=True)
GLib.MainLoop().run()
