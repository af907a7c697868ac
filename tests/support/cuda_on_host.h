// CUDA's names for g++: blocks and threads are loops, so a kernel is a function. See host_driver.py.
#pragma once
#include <cstddef>
#include <cstring>
#include <utility>

struct Index { unsigned x, y, z; };
static thread_local Index blockIdx, blockDim, threadIdx;

#define __global__
#define __device__

static inline int atomicAdd(int* sum, int value) {
    const int before = *sum;
    *sum += value;
    return before;
}
