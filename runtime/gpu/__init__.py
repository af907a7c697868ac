"""The frame on an NVIDIA GPU: kernels that compute what `pixels` computes, and their launches."""
