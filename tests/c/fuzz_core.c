/* Drives the core with random configurations and inputs, on buffers of exactly the documented sizes.
 * Built with the address and undefined-behaviour sanitizers, it ends at the first thing they find.
 *
 *     fuzz_core SEED ROUNDS
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "fixed.h"
#include "frame.h"

static uint64_t state;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(next() % limit);
}

static int32_t any32(void)
{
    static const int32_t edges[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    return below(4) ? (int32_t)next() : edges[below(7)];
}

static int32_t coefficient(void)
{
    const int32_t value = any32();
    return value == INT32_MIN ? INT32_MAX : value;
}

static int32_t within(int32_t limit)
{
    return (int32_t)below(2u * (uint32_t)limit + 1u) - limit;
}

static void *allocate(size_t size)
{
    /* malloc(0) may give a null pointer, which memset must not get. */
    void *memory = malloc(size ? size : 1);
    if (!memory)
        abort();
    memset(memory, 0xa5, size ? size : 1);
    return memory;
}

static void fuzz_chain(void)
{
    const uint8_t channels = (uint8_t)(1 + below(5)), sections = (uint8_t)below(5);
    const uint32_t window = 1 + below(12), hop = 1 + below(window);
    nrv_section_t *cascade = allocate(sections * sizeof *cascade);
    for (unsigned s = 0; s < sections; s++) {
        for (unsigned i = 0; i < 3; i++) {
            cascade[s].b[i] = coefficient();
        }
        for (unsigned i = 0; i < 2; i++) {
            cascade[s].c[i] = coefficient();
            cascade[s].c_low[i] = (int16_t)(below(65536) - 32768);
            cascade[s].weight[i] = within(i ? 64 : 128);
        }
        cascade[s].b_shift = 8 * (int32_t)below(3);
    }
    int32_t *multiplier = allocate(channels * sizeof *multiplier);
    uint8_t *right_shift = allocate(channels);
    for (unsigned c = 0; c < channels; c++) {
        multiplier[c] = (int32_t)(next() >> 33);
        right_shift[c] = (uint8_t)below(32);
    }
    const uint8_t bits = (uint8_t)(2 + below(31));
    const nrv_path_config_t config = {.settle = below(20),
                                      .window = window,
                                      .hop = hop,
                                      .saturated_run = 1 + below(5),
                                      .channels = channels,
                                      .sections = sections,
                                      .counts_bits = bits,
                                      .shift = (uint8_t)below(33u - bits),
                                      .cascade = cascade,
                                      .multiplier = multiplier,
                                      .right_shift = right_shift};
    const uint8_t votes = (uint8_t)(1 + below(NRV_VOTES_MAX));
    const nrv_rule_t rule = {.threshold = (uint16_t)below(256),
                             .classes = (uint8_t)(2 + below(20)),
                             .votes = votes,
                             .min_votes = (uint8_t)(1 + below(votes))};
    int32_t *words = allocate(NRV_PATH_STATE_LEN(sections, channels) * sizeof *words);
    int8_t *buffer = allocate(NRV_PATH_WINDOW_LEN(window, channels));
    int8_t *output = allocate(rule.classes);
    nrv_chain_t *chain = allocate(sizeof *chain);
    nrv_chain_init(chain, &config, &rule, words, buffer);

    uint32_t index = (uint32_t)next();
    for (unsigned piece = 0; piece < 20; piece++) {
        const size_t samples = below(40);
        int32_t *counts = allocate(samples * channels * sizeof *counts);
        for (size_t i = 0; i < samples * channels; i++)
            counts[i] = any32();
        if (below(4) == 0)
            index += (uint32_t)within(10);
        size_t done = 0;
        while (done < samples) {
            size_t used = 0;
            nrv_decision_t decision;
            const unsigned events =
                nrv_chain_feed(chain, index + (uint32_t)done, counts + done * channels, samples - done, &used);
            done += used;
            if (events & NRV_EV_GAP)
                nrv_chain_gap(chain, &decision);
            if (events & NRV_EV_WINDOW) {
                memcpy(output, nrv_chain_window(chain), 1);
                for (unsigned k = 0; k < rule.classes; k++)
                    output[k] = (int8_t)within(127);
                nrv_chain_decide(chain, output, &decision);
                if (decision.label != NRV_NO_LABEL && decision.label >= rule.classes)
                    abort();
            }
            if (below(50) == 0)
                nrv_chain_stale(chain, &decision);
        }
        index += (uint32_t)samples;
        if (below(10) == 0)
            nrv_chain_reset(chain);

        /* The bulk functions on the same path, from wherever it is. */
        const size_t due = nrv_path_windows_due(&chain->path, samples);
        int32_t *filtered = allocate(samples * channels * sizeof *filtered);
        int8_t *windows = allocate(due * NRV_PATH_WINDOW_LEN(window, channels));
        size_t *ends = allocate(due * sizeof *ends);
        if (nrv_path_windows(&chain->path, counts, samples, filtered, windows, ends) != due)
            abort();
        nrv_path_filter(&chain->path, counts, samples, filtered);
        free(filtered);
        free(ends);
        free(windows);
        free(counts);
    }
    free(chain);
    free(output);
    free(buffer);
    free(words);
    free(right_shift);
    free(multiplier);
    free(cascade);
}

static void fuzz_frames(void)
{
    nrv_frame_decoder_t *decoder = allocate(sizeof *decoder);
    nrv_frame_decoder_init(decoder);
    for (unsigned i = 0; i < 50; i++) {
        const size_t length = below(NRV_FRAME_PAYLOAD_MAX + 3);
        uint8_t *payload = allocate(length);
        for (size_t k = 0; k < length; k++)
            payload[k] = below(3) ? (uint8_t)next() : 0;
        uint8_t *wire = allocate(NRV_FRAME_WIRE_MAX);
        const size_t size = nrv_frame_encode((uint8_t)next(), (uint16_t)next(), payload, length, wire);
        if ((size == 0) != (length > NRV_FRAME_PAYLOAD_MAX))
            abort();
        if (size && below(2))
            wire[below((uint32_t)size)] = (uint8_t)next();
        size_t done = 0;
        while (done < size) {
            size_t used = 0;
            if (nrv_frame_decoder_feed(decoder, wire + done, size - done, &used) != NRV_FRAME_NONE) {
                const uint32_t crc = nrv_crc32(0, decoder->payload, decoder->length);
                state ^= crc;
            }
            done += used;
        }
        for (unsigned k = below(400); k; k--)
            nrv_frame_decoder_push(decoder, below(20) ? (uint8_t)next() : 0);
        if (below(20) == 0)
            nrv_frame_decoder_restart(decoder);
        free(wire);
        free(payload);
    }
    free(decoder);
}

static void fuzz_fixed(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        const int shift = (int)below(62) - 31;
        state ^= (uint64_t)nrv_sat8(nrv_requantize(any32(), any32(), shift));
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    state = strtoull(argv[1], NULL, 10);
    for (unsigned long rounds = strtoul(argv[2], NULL, 10); rounds; rounds--) {
        fuzz_chain();
        fuzz_frames();
        fuzz_fixed();
    }
    puts("done");
    return 0;
}
