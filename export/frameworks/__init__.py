"""The frameworks that train SegFormer, as judges of how edgeseg reads a checkpoint."""
