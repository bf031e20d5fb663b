#include "reference.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"

__extension__ typedef __int128 wide_t;

/* floor(value / 2^bits), without a shift of a negative number. */
static wide_t floor_divide(wide_t value, unsigned bits)
{
    const wide_t divisor = (wide_t)1 << bits;
    const wide_t remainder = (value % divisor + divisor) % divisor;
    return (value - remainder) / divisor;
}

/* The value modulo 2^bits, from -2^(bits - 1). */
static wide_t wrapped(wide_t value, unsigned bits)
{
    const wide_t half = (wide_t)1 << (bits - 1);
    return value - floor_divide(value + half, bits) * half * 2;
}

static wide_t limited(wide_t value, wide_t low, wide_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int32_t int32_of(wide_t value)
{
    return (int32_t)limited(value, INT32_MIN, INT32_MAX);
}

static int32_t rounded(wide_t sum, unsigned bits)
{
    return int32_of(bits ? floor_divide(sum + ((wide_t)1 << (bits - 1)), bits) : sum);
}

/* x[n - lag], zero before the beginning. */
static int32_t past(const int32_t *x, size_t n, size_t lag, size_t stride)
{
    return n < lag ? 0 : x[(n - lag) * stride];
}

static void section(const nrv_section_t *s, const int32_t *x, int32_t *y, size_t samples, size_t stride)
{
    int32_t *e = random_memory((samples + 1) * sizeof *e);
    for (size_t n = 0; n < samples; n++) {
        wide_t moving = 0, acc = 0, fine = 0;
        for (size_t k = 0; k < 3; k++)
            moving += (wide_t)s->b[k] * past(x, n, k, stride);
        for (size_t k = 0; k < 2; k++) {
            const int32_t yk = past(y, n, k + 1, stride);
            fine += floor_divide((wide_t)s->c_low[k] * yk, 16);
            acc += (wide_t)s->c[k] * yk + (wide_t)s->weight[k] * past(e, n, k + 1, 1);
        }
        acc = wrapped(acc + wrapped(fine, 32) + floor_divide(wrapped(moving, 64), (unsigned)s->b_shift), 64);
        const wide_t high = floor_divide(acc, 32), low = acc - high * ((wide_t)1 << 32);
        const wide_t next = floor_divide(low + ((wide_t)1 << 29), 30);
        y[n * stride] = int32_of(int32_of(4 * high) + next);
        e[n] = (int32_t)floor_divide(low - next * ((wide_t)1 << 30), 6);
    }
    free(e);
}

/* One stage from x[samples][channels] to y[*][outputs]; returns how many rows. */
static size_t stage(const nrv_stage_t *s, size_t channels, const int32_t *x, size_t samples, int32_t *y)
{
    if (s->kind == NRV_STAGE_CASCADE) {
        const size_t size = samples * channels * sizeof *x;
        int32_t *before = random_memory(size);
        memcpy(y, x, size);
        for (size_t k = 0; k < s->length; k++) {
            memcpy(before, y, size);
            for (size_t c = 0; c < channels; c++)
                section(&s->cascade[k], before + c, y + c, samples, channels);
        }
        free(before);
        return samples;
    }
    size_t rows = 0;
    for (size_t n = 0; n < samples; n++) {
        if (s->kind == NRV_STAGE_FIR && n % s->factor)
            continue;
        for (size_t o = 0; o < s->outputs; o++) {
            wide_t sum = 0;
            if (s->kind == NRV_STAGE_FIR) {
                for (size_t k = 0; k < s->length; k++)
                    sum += (wide_t)s->weights[k] * past(x + o, n, k, channels);
                y[rows * s->outputs + o] = rounded(sum, 30);
            } else if (s->kind == NRV_STAGE_MIX) {
                for (size_t i = 0; i < channels; i++)
                    sum += (wide_t)s->weights[o * channels + i] * x[n * channels + i];
                y[rows * s->outputs + o] = rounded(sum, s->right_shift);
            } else {
                const wide_t value = x[n * channels + o];
                y[rows * s->outputs + o] = int32_of(value < 0 ? -value : value);
            }
        }
        rows++;
    }
    return rows;
}

int32_t reference_requantize(int32_t value, int32_t multiplier, int shift)
{
    const wide_t raised = int32_of((wide_t)value * ((wide_t)1 << (shift > 0 ? shift : 0)));
    const unsigned right = shift < 0 ? (unsigned)-shift : 0;
    /* Halves upwards here, away from zero below. */
    const wide_t product = rounded(raised * multiplier, 31);
    const wide_t magnitude = product < 0 ? -product : product;
    const wide_t divided = (magnitude + ((wide_t)1 << right >> 1)) / ((wide_t)1 << right);
    return (int32_t)(product < 0 ? -divided : divided);
}

void reference_run(const nrv_path_config_t *config, const int32_t *counts, const uint32_t *lead_off, size_t samples,
                   reference_run_t *run)
{
    const wide_t top = (wide_t)1 << (config->counts_bits - 1);
    size_t channels = config->channels, rows = samples;
    int32_t *x = random_memory(samples * channels * sizeof *x);
    run->samples = samples;
    for (size_t n = 0; n < samples; n++) {
        for (size_t c = 0; c < channels; c++) {
            const wide_t count = limited(counts[n * channels + c], -top, top - 1);
            x[n * channels + c] = (int32_t)(count * ((wide_t)1 << config->shift));
        }
    }
    for (unsigned s = 0; s < config->n_stages; s++) {
        const size_t outputs = config->stages[s].outputs;
        int32_t *y = random_memory(rows * outputs * sizeof *y);
        rows = stage(&config->stages[s], channels, x, rows, y);
        free(x);
        x = y;
        channels = outputs;
    }
    run->filtered_count = rows;
    run->filtered = x;
    run->scaled = random_memory(rows * channels);
    run->finer = random_memory(rows * channels * sizeof *run->finer);
    run->vector = random_memory(nrv_path_window_len(config));
    for (size_t i = 0; i < rows * channels; i++) {
        const int32_t multiplier = config->multiplier[i % channels];
        const int right_shift = config->right_shift[i % channels];
        const wide_t coarse = reference_requantize(x[i], multiplier, -right_shift);
        const wide_t fine = reference_requantize(x[i], multiplier, 8 - right_shift);
        run->scaled[i] = (int8_t)limited(coarse, INT8_MIN, INT8_MAX);
        run->finer[i] = (int16_t)limited(fine, INT16_MIN, INT16_MAX);
    }
    run->violations = random_memory(samples * sizeof *run->violations);
    reference_violations(config, counts, lead_off, run);
}

void reference_free(reference_run_t *run)
{
    free(run->filtered);
    free(run->scaled);
    free(run->finer);
    free(run->vector);
    free(run->violations);
}

int reference_gives(const nrv_path_config_t *config, size_t place)
{
    return place % config->decimation == 0;
}

int reference_completes(const nrv_path_config_t *config, size_t place)
{
    const size_t row = place / config->decimation, first = (size_t)config->settle + config->window - 1;
    return reference_gives(config, place) && row >= first && (row - first) % config->hop == 0;
}

const int8_t *reference_window(const nrv_path_config_t *config, const reference_run_t *run, size_t place)
{
    const size_t first = (place / config->decimation + 1 - config->window) * config->outputs;
    if (!config->features.set.count)
        return run->scaled + first;
    reference_vector(config, run->finer + first, run->vector);
    return run->vector;
}

uint8_t reference_decide(const nrv_rule_t *rule, const int8_t *output, uint16_t quality, const uint8_t *votes,
                         size_t n_votes, nrv_decision_t *out)
{
    int best = 0;
    unsigned holders = 0, most = 0, sharing = 0;
    for (int k = 0; k < rule->classes; k++)
        if (output[k] > output[best])
            best = k;
    for (int k = 0; k < rule->classes; k++)
        holders += output[k] == output[best];
    out->confidence = (uint8_t)(output[best] + 128);
    out->label = NRV_NO_LABEL;
    out->flags = quality;
    if (holders > 1 || out->confidence < rule->threshold)
        out->flags |= NRV_FLAG_REJECTED;
    if (out->flags)
        return NRV_NO_LABEL;

    for (int label = 0; label < rule->classes; label++) {
        unsigned count = label == best;
        for (size_t i = 1; i < rule->votes && i <= n_votes; i++)
            count += votes[n_votes - i] == label;
        if (count > most) {
            most = count;
            sharing = 0;
            out->label = (uint8_t)label;
        }
        sharing += count == most;
    }
    if (sharing > 1 || most < rule->min_votes) {
        out->label = NRV_NO_LABEL;
        out->flags = NRV_FLAG_NO_MAJORITY;
    }
    return (uint8_t)best;
}
