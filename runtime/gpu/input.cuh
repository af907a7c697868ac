// From a frame, uint8 (H, W, 3), to the network's input, uint8 (h, w, 3). See input_plan.py.

// The network's input beside and below the frame is the mean color: blue, green << 8, red << 16.
static __device__ inline void pad(Byte* pixel, int color) {
    for (int channel = 0; channel < 3; ++channel) pixel[channel] = (Byte)(color >> (8 * channel));
}

// Pillow's fixed point: weights have 22 fractional bits, and sums begin at one half.
static __device__ inline void weigh(
    Byte* result, const Byte* pixels, size_t step, const int* weights, int count, int outputs
) {
    int blue = 1 << 21, green = 1 << 21, red = 1 << 21;
    for (int tap = 0; tap < count; ++tap) {
        const Byte* pixel = pixels + tap * step;
        const int weight = weights[(size_t)tap * outputs];
        blue += pixel[0] * weight;
        green += pixel[1] * weight;
        red += pixel[2] * weight;
    }
    const int sums[3] = {blue >> 22, green >> 22, red >> 22};
    for (int channel = 0; channel < 3; ++channel) {
        const int sum = sums[channel];
        result[channel] = (Byte)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}

// Resizes rows: (height, inputs, 3) becomes (height, outputs, 3), the upper left of a canvas.
// `first` and `length` (outputs,) are the window of each output; `weights` is (longest, outputs).
extern "C" __global__ void resize_across(
    const Byte* pixels, const int* first, const int* length, const int* weights, Byte* canvas,
    int height, int inputs, int outputs, int canvas_height, int canvas_width, int color
) {
    const int x = ACROSS, y = DOWN;
    if (x >= canvas_width || y >= canvas_height) return;
    Byte* result = canvas + ((size_t)y * canvas_width + x) * 3;
    if (x >= outputs || y >= height) return pad(result, color);
    const Byte* window = pixels + ((size_t)y * inputs + first[x]) * 3;
    weigh(result, window, 3, weights + x, length[x], outputs);
}

// Resizes columns: (inputs, width, 3) becomes (outputs, width, 3), the upper left of a canvas.
extern "C" __global__ void resize_down(
    const Byte* pixels, const int* first, const int* length, const int* weights, Byte* canvas,
    int width, int outputs, int canvas_height, int canvas_width, int color
) {
    const int x = ACROSS, y = DOWN;
    if (x >= canvas_width || y >= canvas_height) return;
    Byte* result = canvas + ((size_t)y * canvas_width + x) * 3;
    if (x >= width || y >= outputs) return pad(result, color);
    const Byte* window = pixels + ((size_t)first[y] * width + x) * 3;
    weigh(result, window, (size_t)width * 3, weights + y, length[y], outputs);
}

// Picks a pixel for each output: Pillow's nearest, and frames that have the right size.
extern "C" __global__ void pick_pixels(
    const Byte* frame, const int* rows, const int* columns, Byte* canvas,
    int frame_width, int height, int width, int canvas_height, int canvas_width, int color
) {
    const int x = ACROSS, y = DOWN;
    if (x >= canvas_width || y >= canvas_height) return;
    Byte* result = canvas + ((size_t)y * canvas_width + x) * 3;
    if (x >= width || y >= height) return pad(result, color);
    const Byte* pixel = frame + ((size_t)rows[y] * frame_width + columns[x]) * 3;
    for (int channel = 0; channel < 3; ++channel) result[channel] = pixel[channel];
}

// OpenCV's bilinear rule on uint8: weights have 11 fractional bits, and each row of sums loses 4
// bits, and 16 after its weight. `rows` is (2, height), `columns` (2, width), weights alike.
extern "C" __global__ void blend_pixels(
    const Byte* frame, const int* rows, const int* row_weights, const int* columns,
    const int* column_weights, Byte* canvas,
    int frame_width, int height, int width, int canvas_height, int canvas_width, int color
) {
    const int x = ACROSS, y = DOWN;
    if (x >= canvas_width || y >= canvas_height) return;
    Byte* result = canvas + ((size_t)y * canvas_width + x) * 3;
    if (x >= width || y >= height) return pad(result, color);
    const int left = columns[x] * 3, right = columns[width + x] * 3;
    const int left_weight = column_weights[x], right_weight = column_weights[width + x];
    const Byte* upper = frame + (size_t)rows[y] * frame_width * 3;
    const Byte* lower = frame + (size_t)rows[height + y] * frame_width * 3;
    for (int channel = 0; channel < 3; ++channel) {
        const int above = upper[left + channel] * left_weight + upper[right + channel] * right_weight;
        const int below = lower[left + channel] * left_weight + lower[right + channel] * right_weight;
        const int sum = ((row_weights[y] * (above >> 4)) >> 16)
                      + ((row_weights[height + y] * (below >> 4)) >> 16);
        result[channel] = (Byte)((sum + 2) >> 2);
    }
}

// OpenCV's bilinear rule where a frame is exactly twice as high and as wide: the mean of four.
extern "C" __global__ void halve_pixels(
    const Byte* frame, Byte* canvas, int height, int width, int canvas_height, int canvas_width,
    int color
) {
    const int x = ACROSS, y = DOWN;
    if (x >= canvas_width || y >= canvas_height) return;
    Byte* result = canvas + ((size_t)y * canvas_width + x) * 3;
    if (x >= width || y >= height) return pad(result, color);
    const Byte* upper = frame + ((size_t)y * 2 * width + x) * 6;
    const Byte* lower = upper + (size_t)width * 6;
    for (int channel = 0; channel < 3; ++channel) {
        const int sum = upper[channel] + upper[channel + 3] + lower[channel] + lower[channel + 3];
        result[channel] = (Byte)((sum + 2) >> 2);
    }
}
