// The mask's colors over the frame, and the result as encoders take it.

// Blends half and half. `palette` is (ids, 4): half of blue, green and red, and whether the frame
// is shown as it is.
extern "C" __global__ void draw_overlay(
    const Byte* frame, const void* mask, const Byte* palette, Byte* overlay, int bytes, int height,
    int width
) {
    const int x = ACROSS, y = DOWN;
    if (x >= width || y >= height) return;
    const size_t at = (size_t)y * width + x;
    const Byte* color = palette + (size_t)read_id(mask, at, bytes) * 4;
    const Byte* pixel = frame + at * 3;
    for (int channel = 0; channel < 3; ++channel)
        overlay[at * 3 + channel] =
            color[3] ? pixel[channel] : (Byte)((pixel[channel] >> 1) + color[channel]);
}

// Converts BGR to NV12: a plane of luma, then a plane of blue and red differences in turn, each
// the mean of 2x2 pixels. An odd last row or column is repeated.
//
// The matrix is BT.601's, in the limited range: luma 16 to 235, differences 16 to 240. FFmpeg
// converts RGB so where nothing else is asked for, and edgeseg's videos name that matrix
// (smpte170m). Weights have 16 fractional bits, and results are rounded to the nearest.
extern "C" __global__ void convert_to_nv12(const Byte* image, Byte* nv12, int height, int width) {
    const int pair = ACROSS, line = DOWN, padded = width + width % 2;
    if (pair * 2 >= width || line * 2 >= height) return;
    int blue = 0, green = 0, red = 0;
    for (int corner = 0; corner < 4; ++corner) {
        const int x = pair * 2 + corner % 2, y = line * 2 + corner / 2;
        const int from_x = x < width ? x : width - 1, from_y = y < height ? y : height - 1;
        const Byte* pixel = image + ((size_t)from_y * width + from_x) * 3;
        const int luma = 6416 * pixel[0] + 33039 * pixel[1] + 16829 * pixel[2];
        nv12[(size_t)y * padded + x] = (Byte)(16 + ((luma + (1 << 15)) >> 16));
        blue += pixel[0];
        green += pixel[1];
        red += pixel[2];
    }
    Byte* differences = nv12 + ((size_t)(height + height % 2) + line) * padded + pair * 2;
    const int half = 1 << 17;  // of sums of four
    differences[0] = (Byte)(128 + ((28784 * blue - 19070 * green - 9714 * red + half) >> 18));
    differences[1] = (Byte)(128 + ((28784 * red - 24103 * green - 4681 * blue + half) >> 18));
}
