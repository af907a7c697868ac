"""Checkpoint to deploy-shaped ONNX. The only room that may import torch."""
