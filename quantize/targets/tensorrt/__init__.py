"""Strongly typed FP16 and INT8 graphs for TensorRT, checked and emulated without a GPU."""
