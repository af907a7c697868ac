"""Sources that end: images, videos and recordings of this machine; and the drawn street."""
