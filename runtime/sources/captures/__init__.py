"""What OpenCV, PyAV and GStreamer give of a device or a clip: frames, times, colors, changes."""
