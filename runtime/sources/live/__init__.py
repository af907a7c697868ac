"""Sources that go on whether or not frames are taken: cameras, streams, pipes."""
