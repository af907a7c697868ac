// From logits (classes, h, w), float32 or float16, or class ids (h, w), to the frame's mask (H, W).
//
// A cell is the run of pixels that blend the same logits: 4, or 9 where logits are enlarged in two
// steps. `find_highest` finds the class of each logit's place. `find_contenders` finds for each cell
// the classes that may win in it. `fill_mask` blends these alone; a cell of one class needs none.
// `fill_crowded` blends where a cell has more contenders than its list holds.
// The tests for a class and the order of the sums are those of edgeseg/pixels/mask.py.

#define LISTED 8  // contenders that a cell's list holds

enum { NOT_FINITE = 1, NO_CLASS = 2 };  // bits of `fault`

// Zeroes what a frame adds up. `counts` is (classes,).
extern "C" __global__ void clear(int* counts, int* fault, int classes) {
    if (DOWN > 0 || ACROSS >= classes) return;
    counts[ACROSS] = 0;
    if (ACROSS == 0) *fault = 0;
}

template <typename Logit>
static __device__ void find_highest_of(
    const Logit* logits, void* ids, int* fault, int bytes, int classes, size_t area, size_t at
) {
    float best = to_float(logits[at]);
    int winner = 0;
    bool finite = best == best;
#pragma unroll 8
    for (int id = 1; id < classes; ++id) {
        const float value = to_float(logits[id * area + at]);
        finite = finite && value == value;
        if (value > best) {
            best = value;
            winner = id;
        }
    }
    if (!finite || !(best >= -3.402823466e38f && best <= 3.402823466e38f)) *fault = NOT_FINITE;
    write_id(ids, at, winner, bytes);
}

// The class of the highest logit at each place; ties go to the lower id.
extern "C" __global__ void find_highest(
    const void* logits, void* ids, int* fault, int half, int bytes, int classes, int height, int width
) {
    const int x = ACROSS, y = DOWN;
    if (x >= width || y >= height) return;
    const size_t area = (size_t)height * width, at = (size_t)y * width + x;
    if (half) find_highest_of((const Half*)logits, ids, fault, bytes, classes, area, at);
    else find_highest_of((const float*)logits, ids, fault, bytes, classes, area, at);
}

// What decides which classes may win in a cell of TAPS times TAPS logits, row by row.
template <typename Logit, int TAPS>
struct Cell {
    const Logit* logits;
    size_t area;
    size_t at[TAPS * TAPS];
    float winning[4][TAPS * TAPS];  // the logits of the classes that win at the outer corners
    float level;                    // a class that stays below it everywhere cannot win

    __device__ inline void load(int id, float* values) const {
        for (int input = 0; input < TAPS * TAPS; ++input)
            values[input] = to_float(logits[id * area + at[input]]);
    }

    __device__ inline void locate(const int* rows, int row_step, const int* columns, int column_step,
                                  int width) {
        for (int down = 0; down < TAPS; ++down)
            for (int across = 0; across < TAPS; ++across)
                at[down * TAPS + across] =
                    (size_t)rows[down * row_step] * width + columns[across * column_step];
    }

    __device__ inline void judge(const Id* nearest) {
        const int corners[4] = {0, TAPS - 1, TAPS * TAPS - TAPS, TAPS * TAPS - 1};
        for (int corner = 0; corner < 4; ++corner) {
            load(nearest[at[corners[corner]]], winning[corner]);
            float least = winning[corner][0];
            for (int input = 1; input < TAPS * TAPS; ++input)
                if (winning[corner][input] < least) least = winning[corner][input];
            if (corner == 0 || least > level) level = least;
        }
    }

    // Loads a class's logits, and tells whether no winner is above it everywhere. Minus infinity
    // becomes a number: a share of zero would make it NaN.
    __device__ inline bool may_win(int id, float* values) const {
        load(id, values);
        bool reaches = false;
        for (int input = 0; input < TAPS * TAPS; ++input) {
            reaches = reaches || values[input] >= level;
            if (values[input] < -1e30f) values[input] = -1e30f;
        }
        if (!reaches) return false;
        for (int corner = 0; corner < 4; ++corner) {
            bool beaten = true;
            for (int input = 0; input < TAPS * TAPS; ++input)
                beaten = beaten && values[input] < winning[corner][input];
            if (beaten) return false;
        }
        return true;
    }
};

template <typename Logit, int TAPS>
static __device__ void find_contenders_of(
    const Logit* logits, const Id* nearest, const int* rows, const int* columns, Byte* count,
    Id* contenders, int classes, int height, int width, int down, int across
) {
    const int x = ACROSS, y = DOWN;
    const size_t place = (size_t)y * across + x, cells = (size_t)down * across;
    Cell<Logit, TAPS> cell;
    cell.logits = logits;
    cell.area = (size_t)height * width;
    cell.locate(rows + y, down, columns + x, across, width);
    const Id first = nearest[cell.at[0]];
    bool mixed = false;
    for (int input = 1; input < TAPS * TAPS; ++input)
        mixed = mixed || nearest[cell.at[input]] != first;
    count[place] = 1;
    contenders[place] = first;
    if (!mixed) return;
    cell.judge(nearest);
    int found = 0;
    for (int id = 0; id < classes && found <= LISTED; ++id) {
        float values[TAPS * TAPS];
        if (!cell.may_win(id, values)) continue;
        if (found < LISTED) contenders[found * cells + place] = (Id)id;
        ++found;
    }
    if (found > 0) count[place] = (Byte)found;  // none is found among NaN, which is a fault
}

// Lists the classes that may win in each cell: `count` (down, across), `contenders` (LISTED, down,
// across), ascending. `rows` (taps, down) and `columns` (taps, across) are the cells' logits.
extern "C" __global__ void find_contenders(
    const void* logits, const Id* nearest, const int* rows, const int* columns, Byte* count,
    Id* contenders, int half, int taps, int classes, int height, int width, int down, int across
) {
    if (ACROSS >= across || DOWN >= down) return;
#define FIND(LOGIT, TAPS)                                                                          \
    find_contenders_of<LOGIT, TAPS>((const LOGIT*)logits, nearest, rows, columns, count,           \
                                    contenders, classes, height, width, down, across)
    if (half && taps == 2) FIND(Half, 2);
    else if (half) FIND(Half, 3);
    else if (taps == 2) FIND(float, 2);
    else FIND(float, 3);
#undef FIND
}

// The frame's pixels as cells and shares: cell indices (H,) and (W,), shares (taps, H), (taps, W).
struct Grid {
    const int* row_cells;
    const float* row_shares;
    const int* column_cells;
    const float* column_shares;
    int height, width;
};

// Adds up as NumPy does: within each row of logits first, then the rows.
template <int TAPS>
static __device__ inline float blend(const float* values, const Grid& grid) {
    float total = 0;
    for (int down = 0; down < TAPS; ++down) {
        float line = 0;
        for (int across = 0; across < TAPS; ++across) {
            const float part = grid.column_shares[across * grid.width + ACROSS]
                             * values[down * TAPS + across];
            line = across ? line + part : part;
        }
        const float part = grid.row_shares[down * grid.height + DOWN] * line;
        total = down ? total + part : part;
    }
    return total;
}

// The contender of a pixel whose blended logit is highest; ties go to the lower id. -1 where a
// cell's list was too short.
template <typename Logit, int TAPS>
static __device__ int find_winner(
    const Cell<Logit, TAPS>& cell, const Grid& grid, const Byte* count, const Id* contenders,
    size_t place, size_t cells
) {
    const int found = count[place];
    int winner = contenders[place];
    if (found == 1) return winner;
    if (found > LISTED) return -1;
    float best = 0;
    for (int rank = 0; rank < found; ++rank) {
        const int id = contenders[rank * cells + place];
        float values[TAPS * TAPS];
        cell.load(id, values);
        for (int input = 0; input < TAPS * TAPS; ++input)
            if (values[input] < -1e30f) values[input] = -1e30f;
        const float value = blend<TAPS>(values, grid);
        if (rank == 0 || value > best) {
            best = value;
            winner = id;
        }
    }
    return winner;
}

// The same of all classes, for the pixels whose cell's list was too short; -1 for others.
template <typename Logit, int TAPS>
static __device__ int try_all_classes(
    Cell<Logit, TAPS>& cell, const Grid& grid, const Byte* count, const Id* nearest, size_t place,
    int classes
) {
    if (count[place] <= LISTED) return -1;
    cell.judge(nearest);
    int winner = -1;
    float best = 0;
    for (int id = 0; id < classes; ++id) {
        float values[TAPS * TAPS];
        if (!cell.may_win(id, values)) continue;
        const float value = blend<TAPS>(values, grid);
        if (winner < 0 || value > best) {
            best = value;
            winner = id;
        }
    }
    return winner;
}

template <typename Logit, int TAPS, bool CROWDED>
static __device__ void fill(
    const void* logits, const Id* nearest, const int* rows, const int* columns, const Byte* count,
    const Id* contenders, const Grid& grid, void* mask, int classes, int height, int width,
    int down, int across, int bytes
) {
    const int row = grid.row_cells[DOWN], column = grid.column_cells[ACROSS];
    const size_t place = (size_t)row * across + column;
    Cell<Logit, TAPS> cell;
    cell.logits = (const Logit*)logits;
    cell.area = (size_t)height * width;
    cell.locate(rows + row, down, columns + column, across, width);
    const int winner =
        CROWDED ? try_all_classes(cell, grid, count, nearest, place, classes)
                : find_winner(cell, grid, count, contenders, place, (size_t)down * across);
    if (winner >= 0) write_id(mask, (size_t)DOWN * grid.width + ACROSS, winner, bytes);
}

// The two kernels that write the mask have the same parameters: the cells and their lists (see
// find_contenders), the frame's pixels (see Grid), the mask, and sizes.
#define FILL(CROWDED)                                                                              \
    if (ACROSS >= frame_width || DOWN >= frame_height) return;                                     \
    const Grid grid = {row_cells, row_shares, column_cells, column_shares, frame_height,           \
                       frame_width};                                                               \
    if (half && taps == 2) FILL_OF(Half, 2, CROWDED);                                              \
    else if (half) FILL_OF(Half, 3, CROWDED);                                                      \
    else if (taps == 2) FILL_OF(float, 2, CROWDED);                                                \
    else FILL_OF(float, 3, CROWDED)
#define FILL_OF(LOGIT, TAPS, CROWDED)                                                              \
    fill<LOGIT, TAPS, CROWDED>(logits, nearest, rows, columns, count, contenders, grid, mask,      \
                               classes, height, width, down, across, bytes)

// Writes the class of each pixel, except in cells with too many contenders.
extern "C" __global__ void fill_mask(
    const void* logits, const Id* nearest, const int* rows, const int* columns, const Byte* count,
    const Id* contenders, const int* row_cells, const float* row_shares, const int* column_cells,
    const float* column_shares, void* mask,
    int half, int taps, int classes, int height, int width, int down, int across, int frame_height,
    int frame_width, int bytes
) {
    FILL(false);
}

// Writes the class of each pixel in the cells that `fill_mask` left. The work needs many registers
// and trained networks have few such cells, so the kernel stands alone.
extern "C" __global__ void fill_crowded(
    const void* logits, const Id* nearest, const int* rows, const int* columns, const Byte* count,
    const Id* contenders, const int* row_cells, const float* row_shares, const int* column_cells,
    const float* column_shares, void* mask,
    int half, int taps, int classes, int height, int width, int down, int across, int frame_height,
    int frame_width, int bytes
) {
    FILL(true);
}

#undef FILL_OF
#undef FILL

// Picks the nearest class id for each pixel. An id that no class has is a fault, and becomes 0.
extern "C" __global__ void pick_ids(
    const void* ids, const int* rows, const int* columns, void* mask, int* fault,
    int given_bytes, int bytes, int classes, int width, int frame_height, int frame_width
) {
    const int x = ACROSS, y = DOWN;
    if (x >= frame_width || y >= frame_height) return;
    int id = read_id(ids, (size_t)rows[y] * width + columns[x], given_bytes);
    if (id < 0 || id >= classes) {
        *fault = NO_CLASS;
        id = 0;
    }
    write_id(mask, (size_t)y * frame_width + x, id, bytes);
}

// Counts the pixels of each class. A thread adds up the runs of one id in ROWS pixels of a column,
// since neighbors are mostly of one class, and threads that add to one number wait for each other.
// Where the output is a fault, pixels may keep an id of no class; such are not counted.
extern "C" __global__ void count_ids(
    const void* mask, int* counts, int bytes, int classes, int height, int width, int rows
) {
    const int x = ACROSS, top = DOWN * rows;
    if (x >= width || top >= height) return;
    const int bottom = height - top < rows ? height : top + rows;
    int run = 0, id = read_id(mask, (size_t)top * width + x, bytes);
    for (int y = top; y < bottom; ++y) {
        const int next = read_id(mask, (size_t)y * width + x, bytes);
        if (next != id) {
            if (id < classes) atomicAdd(counts + id, run);
            run = 0;
            id = next;
        }
        ++run;
    }
    if (id < classes) atomicAdd(counts + id, run);
}
