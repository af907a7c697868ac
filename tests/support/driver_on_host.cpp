// The calls of CUDA's driver that edgeseg makes, on the host: KERNELS lists the kernels by name.
// The code that is loaded is not looked at. See host_driver.py.

using Run = void (*)(void**);

template <auto kernel> struct Runner;
template <typename... Arguments, void (*kernel)(Arguments...)> struct Runner<kernel> {
    template <size_t... at> static void call(void** arguments, std::index_sequence<at...>) {
        kernel(*static_cast<std::remove_reference_t<Arguments>*>(arguments[at])...);
    }
    static void run(void** arguments) { call(arguments, std::index_sequence_for<Arguments...>()); }
};

struct Named { const char* name; Run run; };
static const Named kernels[] = {
#define KERNEL(name) {#name, Runner<name>::run},
    KERNELS
};

enum { NOT_FOUND = 500 };

extern "C" {
// No call of the driver: what the kernels read float16 with, for a test of all of them.
void convert_halves(const Half* halves, float* numbers, int count) {
    for (int at = 0; at < count; ++at) numbers[at] = to_float(halves[at]);
}

int cuInit(unsigned) { return 0; }
int cuDeviceGet(int* device, int) { *device = 0; return 0; }
int cuDevicePrimaryCtxRetain(void** context, int) { *context = (void*)kernels; return 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuModuleUnload(void*) { return 0; }

int cuModuleLoadData(void** module, const char* code) {
    if (std::strcmp(code, "damaged") == 0) return 200;
    *module = (void*)kernels;
    return 0;
}

int cuGetErrorString(int status, const char** text) {
    *text = status == NOT_FOUND ? "named symbol not found" : "device kernel image is invalid";
    return 0;
}

int cuModuleGetFunction(void** function, void*, const char* name) {
    for (const Named& kernel : kernels)
        if (std::strcmp(kernel.name, name) == 0) {
            *function = (void*)kernel.run;
            return 0;
        }
    return NOT_FOUND;
}

int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned, void*, void** arguments, void**) {
    if (gx * gy * gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz > 1024) return 1;
    blockDim = {bx, by, bz};
    for (blockIdx.y = 0; blockIdx.y < gy; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < gx; ++blockIdx.x)
            for (threadIdx.y = 0; threadIdx.y < by; ++threadIdx.y)
                for (threadIdx.x = 0; threadIdx.x < bx; ++threadIdx.x) ((Run)function)(arguments);
    return 0;
}
}
