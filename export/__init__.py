"""Checkpoint to deploy-shaped ONNX. The only package that may import torch."""
