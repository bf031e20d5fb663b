#include "nrv_simd_matmul.h"

#include "nrv_simd_bytes.h"
#include "nrv_simd_short.h"

enum { ROWS = 4 /* multiplied at once */, PAIR = 2 * NRV_SIMD_LANES /* values: two of each column */ };

/* The operands less their zero points, filled up with zeros: two values along the sum lie side by side. */
typedef struct {
    int32_t pairs;   /* along the sum */
    int32_t blocks;  /* of sixteen columns */
    int16_t *first;  /* [rows][pairs][2], and fifteen */
    int16_t *second; /* [blocks][pairs][16][2] */
    int16_t *column; /* [pairs][2], and fifteen */
} operands_t;

/* `count` int8 less zero, and up to fifteen beyond them that are anything; `end` of what may be read. */
static inline void widen(const int8_t *from, const int8_t *end, int32_t count, int32_t zero, int16_t *to)
{
    const nrv_simd_t less = nrv_simd_all(-zero);
    for (int32_t i = 0; i < count; i += NRV_SIMD_LANES) {
        nrv_simd_store_short(to + i, nrv_simd_add(nrv_simd_widen_before(from + i, end), less));
    }
}

static void widen_first(const nrv_matmul_t *p, const operands_t *o, const int8_t *x)
{
    const int8_t *const end = x + p->rows * p->depth;
    int16_t *to = o->first;
    for (int32_t row = 0; row < p->rows; row++, x += p->first_step[0], to += 2 * o->pairs) {
        if (p->first_step[1] == 1) {
            widen(x, end, p->depth, p->zero[0], to);
        } else {
            for (int32_t i = 0; i < p->depth; i++) {
                to[i] = (int16_t)(x[i * p->first_step[1]] - p->zero[0]);
            }
        }
        for (int32_t i = p->depth; i < 2 * o->pairs; i++) {
            to[i] = 0;
        }
    }
}

/* Columns whose values along the sum lie side by side. */
static void widen_columns(const nrv_matmul_t *p, const operands_t *o, const int8_t *y)
{
    const int8_t *const end = y + p->columns * p->depth;
    for (int32_t c = 0; c < p->columns; c++, y += p->depth) {
        int16_t *const to = o->second + (c / NRV_SIMD_LANES * o->pairs * NRV_SIMD_LANES + c % NRV_SIMD_LANES) * 2;
        widen(y, end, p->depth, p->zero[1], o->column);
        for (int32_t i = p->depth; i < 2 * o->pairs; i++) {
            o->column[i] = 0;
        }
        for (int32_t i = 0; i < o->pairs; i++) {
            memcpy(to + i * PAIR, o->column + 2 * i, 2 * sizeof *to);
        }
    }
}

/* Rows of columns that lie side by side. */
static void widen_rows(const nrv_matmul_t *p, const operands_t *o, const int8_t *y)
{
    for (int32_t block = 0; block < o->blocks; block++, y += NRV_SIMD_LANES) {
        const int32_t left = p->columns - block * NRV_SIMD_LANES;
        const int32_t count = left < NRV_SIMD_LANES ? left : NRV_SIMD_LANES;
        for (int32_t i = 0; i < p->depth; i++) {
            int16_t *const to = o->second + (block * o->pairs + i / 2) * PAIR + i % 2;
            const int8_t *const row = y + i * p->second_step[1];
            for (int32_t c = 0; c < count; c++) {
                to[2 * c] = (int16_t)(row[c] - p->zero[1]);
            }
        }
    }
}

static void multiply(const nrv_matmul_t *p, const operands_t *o, const nrv_simd_scale_t *scale, int8_t *output)
{
    /* Bytes are written below, which could be any of these for all that the compiler knows. */
    const nrv_simd_scale_t own = *scale;
    const int32_t pairs = o->pairs;
    const int32_t all = p->rows;
    const int32_t columns = p->columns;
    const int32_t zero = p->output_zero;
    for (int32_t row = 0; row < all; row += ROWS) {
        const int32_t rows = all - row < ROWS ? all - row : ROWS;
        const int16_t *x[ROWS]; /* the missing ones repeat the last */
        for (int32_t i = 0; i < ROWS; i++) {
            x[i] = o->first + (row + (i < rows ? i : rows - 1)) * 2 * pairs;
        }
        const int16_t *w = o->second;
        for (int32_t column = 0; column < columns; column += NRV_SIMD_LANES) {
            static const int32_t zeros[NRV_SIMD_LANES] = {0};
            nrv_simd_t acc[ROWS];
            for (int32_t i = 0; i < ROWS; i++) {
                acc[i] = nrv_simd_load(zeros);
            }
            for (int32_t k = 0; k < pairs; k++, w += PAIR) {
                for (int32_t i = 0; i < ROWS; i++) {
                    acc[i] = nrv_simd_dot_short(acc[i], x[i] + 2 * k, w);
                }
            }
            const int32_t left = columns - column;
            const int32_t count = left < NRV_SIMD_LANES ? left : NRV_SIMD_LANES;
            for (int32_t i = 0; i < ROWS; i++) {
                acc[i] = nrv_simd_requantize(acc[i], &own);
            }
            int8_t *to = output + row * columns + column;
            for (int32_t i = 0; i < ROWS; i++) {
                nrv_simd_put(to, acc[i], count, zero, INT8_MIN, INT8_MAX);
                to += i + 1 < rows ? columns : 0; /* the last row again */
            }
        }
    }
}

void nrv_simd_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output,
                     int8_t *scratch)
{
    const nrv_pairs_t *const w = &p->batches;
    const int32_t pairs = (p->depth + 1) / 2;
    const int32_t blocks = (p->columns + NRV_SIMD_LANES - 1) / NRV_SIMD_LANES;
    int16_t *const all = (int16_t *)(void *)scratch; /* the arena's buffers start on words */
    const int32_t first_size = 2 * pairs * p->rows + NRV_SIMD_LANES;
    const operands_t o = {pairs, blocks, all, all + first_size, all + first_size + blocks * pairs * PAIR};
    int32_t multiplier[NRV_SIMD_LANES];
    int32_t shift[NRV_SIMD_LANES];
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        multiplier[i] = p->multiplier;
        shift[i] = p->shift;
    }
    const nrv_simd_scale_t scale = nrv_simd_load_scale(multiplier, shift);
    const int8_t *x = 0; /* what the operands are of */
    const int8_t *y = 0;
    memset(o.second, 0, (size_t)(blocks * pairs * PAIR) * sizeof *o.second);
    for (int32_t batch = 0; batch < nrv_pairs_rows(w); batch++, output += p->rows * p->columns) {
        const int8_t *const next_x = first + nrv_pairs_at(w, w->first_step, batch);
        const int8_t *const next_y = second + nrv_pairs_at(w, w->second_step, batch);
        if (next_x != x) {
            widen_first(p, &o, next_x);
        }
        if (next_y != y && p->second_step[1] == 1) {
            widen_columns(p, &o, next_y);
        } else if (next_y != y) {
            widen_rows(p, &o, next_y);
        }
        x = next_x;
        y = next_y;
        multiply(p, &o, &scale, output);
    }
}
