"""Calibration images and the ranges of activations that they give."""
