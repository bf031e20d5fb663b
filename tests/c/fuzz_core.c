/* Drives the core with random configurations and inputs, on buffers of exactly the documented sizes, and compares
 * what comes out with a plain reference. Built with the address and undefined-behaviour sanitizers, it ends at the
 * first thing that they or the comparisons find, and says how to repeat it.
 *
 *     fuzz_core SEED ROUNDS
 *     fuzz_core SEED --seconds SECONDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixed.h"
#include "frame.h"
#include "fuzz_chain.h"
#include "random.h"
#include "reference.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

static unsigned long long round_seed;

static void say_how_to_repeat(void)
{
    fprintf(stderr, "to repeat: fuzz_core %llu 1\n", round_seed);
}

void fuzz_fail(const char *what)
{
    fprintf(stderr, "differs from the reference: %s\n", what);
    say_how_to_repeat();
    exit(1);
}

/* A bit at a time, from the polynomial. */
static uint32_t slow_crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc & 1u ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

/* What was sent must come back, whatever came before it. */
static void frame_round_trip(nrv_frame_decoder_t *decoder, const uint8_t *payload, size_t length)
{
    nrv_frame_decoder_push(decoder, 0);
    uint8_t *wire = random_memory(NRV_FRAME_WIRE_MAX);
    const uint8_t type = (uint8_t)random_64();
    const uint16_t ahead = (uint16_t)(random_below(2) ? random_64() : 0x7ffeu + random_below(3));
    const uint16_t sequence = (uint16_t)(decoder->expected + ahead);
    const int due = decoder->started && ahead >= 0x8000u ? NRV_FRAME_BEHIND : NRV_FRAME_GOOD;
    const size_t size = nrv_frame_encode(type, sequence, payload, length, wire);
    if ((size == 0) != (length > NRV_FRAME_PAYLOAD_MAX))
        fuzz_fail("size of a frame");
    const int damaged = size && random_below(2);
    if (damaged)
        wire[random_below((uint32_t)size)] = (uint8_t)random_64();
    int result = NRV_FRAME_NONE;
    for (size_t done = 0, used = 0; done < size; done += used) {
        result = nrv_frame_decoder_feed(decoder, wire + done, size - done, &used);
        if (result != NRV_FRAME_NONE && slow_crc32(decoder->payload, decoder->length) !=
                                            nrv_crc32(0, decoder->payload, decoder->length))
            fuzz_fail("CRC");
    }
    if (size && !damaged &&
        (result != due || decoder->type != type || decoder->sequence != sequence ||
         decoder->length != length || (length && memcmp(decoder->payload, payload, length) != 0)))
        fuzz_fail("a frame");
    free(wire);
}

static void fuzz_frames(void)
{
    nrv_frame_decoder_t *decoder = random_memory(sizeof *decoder);
    nrv_frame_decoder_init(decoder);
    for (unsigned i = 0; i < 20; i++) {
        const size_t length = random_below(NRV_FRAME_PAYLOAD_MAX + 3);
        uint8_t *payload = random_memory(length);
        for (size_t k = 0; k < length; k++)
            payload[k] = random_below(3) ? (uint8_t)random_64() : 0;
        frame_round_trip(decoder, payload, length);
        for (unsigned k = random_below(400); k; k--)
            nrv_frame_decoder_push(decoder, random_below(20) ? (uint8_t)random_64() : 0);
        if (random_below(20) == 0)
            nrv_frame_decoder_restart(decoder);
        free(payload);
    }
    free(decoder);
}

static void fuzz_fixed(void)
{
    for (unsigned i = 0; i < 200; i++) {
        const int32_t value = random_int32(), multiplier = random_int32();
        const int shift = (int)random_below(62) - 31;
        if (nrv_requantize(value, multiplier, shift) != reference_requantize(value, multiplier, shift))
            fuzz_fail("nrv_requantize");
    }
}

int main(int argc, char **argv)
{
    const int timed = argc == 4 && strcmp(argv[2], "--seconds") == 0;
    if (argc != 3 && !timed) {
        fputs("usage: fuzz_core SEED ROUNDS | fuzz_core SEED --seconds SECONDS\n", stderr);
        return 2;
    }
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(say_how_to_repeat);
#endif
    const unsigned long long seed = strtoull(argv[1], NULL, 10), limit = strtoull(argv[argc - 1], NULL, 10);
    const time_t start = time(NULL);
    unsigned long long rounds = 0;
    for (; timed ? (unsigned long long)(time(NULL) - start) < limit : rounds < limit; rounds++) {
        round_seed = seed + rounds;
        random_seed(round_seed);
        fuzz_chain();
        fuzz_frames();
        fuzz_fixed();
    }
    printf("%llu rounds\n", rounds);
    return 0;
}
