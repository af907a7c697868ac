"""Which images, which ranges. Empty until INT8 lands, which is the first to need it."""
