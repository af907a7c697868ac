"""Wins back the accuracy that an artifact lost: trains its file against FP32.

program      an artifact's graph as steps and constants; `onnx_program`, `openvino_program`
network      runs a program in PyTorch, with its constants as parameters; `operators`
steps        the quantizers' step sizes, chosen anew for images in any light
weather      cropped images in other light, so that what is trained does not become brittle
losses       what a training minimizes
memory       refuses what does not fit
training     lessons, each for a share of the time; `state` keeps a training that was broken off
example      an image to learn from
options      what a user may say of a training
recover      all of it, from file to file
"""
