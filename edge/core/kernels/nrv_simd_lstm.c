#include "nrv_simd_lstm.h"

#include "nrv_lstm_cell.h"
#include "nrv_simd_short.h"
#include "nrv_simd_sigmoid.h"

enum { GATES = 4, TAPS = NRV_SIMD_LANES * NRV_SIMD_TAPS, SCALE = 2 * NRV_SIMD_LANES };

typedef struct {
    nrv_simd_scale_t input[GATES];
    nrv_simd_scale_t hidden[GATES];
    nrv_simd_scale_t output;
} scales_t;

/* What a step works on, of units filled up to sixteen. */
typedef struct {
    int8_t *x;      /* a step's inputs and the hidden state before it, each filled up to whole groups */
    int16_t *gates; /* [4][units]: steps of 2^-12 */
    int16_t *cell;  /* [units] */
    int8_t *hidden; /* [units] */
    int32_t units;
} work_t;

static nrv_simd_scale_t scale_at(const int32_t *scale)
{
    return nrv_simd_load_scale(scale, scale + NRV_SIMD_LANES);
}

/* Sums of the four gates of sixteen units. */
static inline void multiply(const int32_t *bias, const int8_t *weights, const int8_t *x, int32_t groups,
                            nrv_simd_t sum[GATES])
{
    for (int32_t gate = 0; gate < GATES; gate++) {
        sum[gate] = nrv_simd_load(bias + (2 * gate + (NRV_SIMD_FLIP != 0 ? 1 : 0)) * NRV_SIMD_LANES);
    }
    for (int32_t g = 0; g < groups; g++, x += NRV_SIMD_TAPS) {
        for (int32_t gate = 0; gate < GATES; gate++, weights += TAPS) {
            sum[gate] = nrv_simd_dot(sum[gate], x, nrv_simd_load_taps(weights));
        }
    }
}

static void sum_gates(const nrv_simd_lstm_t *p, const scales_t *scales, const work_t *work)
{
    const int8_t *weights = p->weights;
    const int32_t *bias = p->bias;
    for (int32_t unit = 0; unit < work->units; unit += NRV_SIMD_LANES) {
        nrv_simd_t from_input[GATES];
        nrv_simd_t from_hidden[GATES];
        multiply(bias, weights, work->x, p->input_groups, from_input);
        weights += p->input_groups * GATES * TAPS;
        bias += 2 * GATES * NRV_SIMD_LANES;
        multiply(bias, weights, work->x + p->input_groups * NRV_SIMD_TAPS, p->hidden_groups, from_hidden);
        weights += p->hidden_groups * GATES * TAPS;
        bias += 2 * GATES * NRV_SIMD_LANES;
        for (int32_t gate = 0; gate < GATES; gate++) {
            int16_t *const to = work->gates + gate * work->units + unit;
            nrv_simd_store_short(to, nrv_simd_requantize(from_input[gate], &scales->input[gate]));
            const nrv_simd_t more = nrv_simd_requantize(from_hidden[gate], &scales->hidden[gate]);
            nrv_simd_store_short(to, nrv_simd_add(nrv_simd_load_short(to), more));
        }
    }
}

#ifdef NRV_SIMD_SHORTS

NRV_SHORTS_INLINE nrv_shorts_t shorts_at(const int16_t *from)
{
    nrv_shorts_t x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* a * b */
NRV_SHORTS_INLINE nrv_longs_t product(nrv_shorts_t a, nrv_shorts_t b)
{
    return __builtin_convertvector(a, nrv_longs_t) * __builtin_convertvector(b, nrv_longs_t);
}

/* nrv_rounded_shift() of what fits 16 bits then. */
NRV_SHORTS_INLINE nrv_longs_t rounded(nrv_longs_t x, int32_t places)
{
    const nrv_longs_t zero = {0};
    return (x + (x >> 31) + ((zero + 1) << (places - 1))) >> places;
}

NRV_SHORTS_INLINE nrv_shorts_t saturated(nrv_longs_t x)
{
    const nrv_longs_t above = x > INT16_MAX;
    const nrv_longs_t below = x < INT16_MIN;
    x = (above & INT16_MAX) | (below & INT16_MIN) | (~(above | below) & x);
    return __builtin_convertvector(x, nrv_shorts_t);
}

/* nrv_lstm_cell() of all units. */
static void next_states(const nrv_lstm_t *p, const scales_t *scales, const work_t *work)
{
    const nrv_shorts_t highest = nrv_shorts(nrv_sat16(p->cell_clip));
    const nrv_shorts_t lowest = nrv_shorts(nrv_sat16(-p->cell_clip));
    int32_t shown[NRV_SIMD_LANES]; /* hidden states in steps of 2^-30 */
    for (int32_t unit = 0; unit < work->units; unit += NRV_SIMD_SHORTS) {
        const int16_t *const gates = work->gates + unit;
        const nrv_shorts_t input = nrv_shorts_sigmoid15(shorts_at(gates));
        const nrv_shorts_t forget = nrv_shorts_sigmoid15(shorts_at(gates + work->units));
        const nrv_shorts_t added = nrv_shorts_tanh15(shorts_at(gates + 2 * work->units), 3);
        const nrv_shorts_t output = nrv_shorts_sigmoid15(shorts_at(gates + 3 * work->units));
        const nrv_longs_t kept = rounded(product(forget, shorts_at(work->cell + unit)), 15);
        nrv_shorts_t next = saturated(kept + rounded(product(input, added), 15 + p->cell_bits));
        next = nrv_shorts_choose(next > highest, highest, next);
        next = nrv_shorts_choose(next < lowest, lowest, next);
        memcpy(work->cell + unit, &next, sizeof next);
        const nrv_longs_t four = product(output, nrv_shorts_tanh15(next, p->cell_bits));
        const int32_t lane = unit % NRV_SIMD_LANES;
        memcpy(shown + lane, &four, sizeof four);
        if (lane + NRV_SIMD_SHORTS == NRV_SIMD_LANES) {
            nrv_simd_put(work->hidden + unit - lane, nrv_simd_requantize(nrv_simd_load(shown), &scales->output),
                         NRV_SIMD_LANES, p->hidden_zero, INT8_MIN, INT8_MAX);
        }
    }
}

#else

static void next_states(const nrv_lstm_t *p, const scales_t *scales, const work_t *work)
{
    (void)scales;
    for (int32_t unit = 0; unit < work->units; unit++) {
        const int16_t *const gates = work->gates + unit;
        const int32_t four[GATES] = {gates[0], gates[work->units], gates[2 * work->units], gates[3 * work->units]};
        work->cell[unit] = nrv_lstm_cell(p, four, work->cell[unit], &work->hidden[unit]);
    }
}

#endif

void nrv_simd_lstm(const nrv_simd_lstm_t *p, const int8_t *input, int8_t *output, int8_t *scratch, int8_t *hidden,
                   int8_t *cell)
{
    const nrv_lstm_t *const lstm = &p->lstm;
    const int32_t units = (lstm->units + NRV_SIMD_LANES - 1) / NRV_SIMD_LANES * NRV_SIMD_LANES;
    const size_t used = (size_t)lstm->units;
    scales_t scales;
    work_t work;
    for (int32_t gate = 0; gate < GATES; gate++) {
        scales.input[gate] = scale_at(p->scales + gate * SCALE);
        scales.hidden[gate] = scale_at(p->scales + (GATES + gate) * SCALE);
    }
    scales.output = scale_at(p->scales + 2 * GATES * SCALE);
    work.gates = (int16_t *)(void *)scratch; /* the arena's buffers start on words */
    work.cell = work.gates + GATES * units;
    work.hidden = (int8_t *)(work.cell + units);
    work.x = work.hidden + units;
    work.units = units;
    int8_t *const x_hidden = work.x + p->input_groups * NRV_SIMD_TAPS;
    memset(scratch, 0, (size_t)(x_hidden + p->hidden_groups * NRV_SIMD_TAPS - scratch));
    for (int32_t batch = 0; batch < lstm->batches; batch++, hidden += used, cell += 2 * used) {
        memcpy(work.cell, cell, 2 * used);
        memcpy(work.hidden, hidden, used);
        for (int32_t i = 0; i < lstm->steps; i++, input += lstm->inputs, output += used) {
            nrv_simd_copy(work.x, input, lstm->inputs);
            nrv_simd_copy(x_hidden, work.hidden, lstm->units);
            sum_gates(p, &scales, &work);
            next_states(lstm, &scales, &work);
            memcpy(output, work.hidden, used);
        }
        memcpy(cell, work.cell, 2 * used);
        memcpy(hidden, work.hidden, used);
    }
}
