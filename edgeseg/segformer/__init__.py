"""SegFormer's shapes and costs, free of torch."""
