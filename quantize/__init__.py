"""Float ONNX and ranges to INT8 variants, and the choice among them. Empty until INT8 lands."""
