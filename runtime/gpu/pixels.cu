// The kernels of a frame: its input, its mask, its overlay. `plan.py` says which are launched.
//
// NVRTC compiles this file on the device, without any header; the tests compile it for the host.
// Every thread works alone, so blocks may have any shape. Compile with --fmad=false: a fused
// multiplication and addition rounds once, where NumPy rounds twice.

#include "values.cuh"

#include "input.cuh"
#include "mask.cuh"
#include "drawing.cuh"
