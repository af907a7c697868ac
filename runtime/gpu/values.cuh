// How threads find their place, and how buffers hold logits and class ids.

typedef unsigned char Byte;
typedef unsigned short Half;  // the bits of a float16
typedef unsigned short Id;    // a class id in scratch buffers

#define ACROSS ((int)(blockIdx.x * blockDim.x + threadIdx.x))
#define DOWN ((int)(blockIdx.y * blockDim.y + threadIdx.y))

static __device__ inline float to_float(float value) { return value; }

// cuda_fp16.h, which converts in one instruction, is a header that a device may lack.
static __device__ inline float to_float(Half half) {
    union { unsigned bits; float value; } number;
    const unsigned sign = (half & 0x8000u) << 16, rest = half & 0x7fffu;
    if (rest >= 0x7c00u) {  // infinity or NaN
        number.bits = sign | 0x7f800000u | ((rest & 0x3ffu) << 13);
        return number.value;
    }
    // The exponents' biases differ by 112. The product is exact, also of subnormal numbers.
    number.bits = sign | (rest << 13);
    return number.value * 0x1p112f;
}

// Class ids have 1, 2 or 4 bytes each.
static __device__ inline int read_id(const void* ids, size_t at, int bytes) {
    if (bytes == 1) return ((const Byte*)ids)[at];
    if (bytes == 2) return ((const unsigned short*)ids)[at];
    return ((const int*)ids)[at];
}

static __device__ inline void write_id(void* ids, size_t at, int id, int bytes) {
    if (bytes == 1) ((Byte*)ids)[at] = (Byte)id;
    else ((unsigned short*)ids)[at] = (unsigned short)id;
}
