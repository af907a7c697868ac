"""The network, the layouts of its checkpoints, its exact rewrites, and its ONNX graph."""
