#include "frame.h"

#include <string.h>

#define HEADER_SIZE 3u /* type, sequence */
#define CRC_SIZE 4u

uint32_t nrv_crc32(uint32_t crc, const uint8_t *data, size_t size)
{
    /* Half a byte at a time: 64 bytes of table instead of 1 KiB, for small flash. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
        0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu};
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

size_t nrv_frame_encode(uint8_t type, uint16_t sequence, const uint8_t *payload, size_t length, uint8_t *out)
{
    if (length > NRV_FRAME_PAYLOAD_MAX)
        return 0;
    uint8_t *raw = out + 1;
    raw[0] = type;
    raw[1] = (uint8_t)sequence;
    raw[2] = (uint8_t)(sequence >> 8);
    if (length)
        memcpy(raw + HEADER_SIZE, payload, length);
    const uint32_t crc = nrv_crc32(0, raw, HEADER_SIZE + length);
    for (unsigned i = 0; i < CRC_SIZE; i++)
        raw[HEADER_SIZE + length + i] = (uint8_t)(crc >> (8u * i));

    /* Each zero, and the first byte, becomes the distance to the next zero or to the end. */
    const size_t end = 1 + HEADER_SIZE + length + CRC_SIZE;
    size_t code = 0;
    for (size_t i = 1; i < end; i++) {
        if (out[i] == 0) {
            out[code] = (uint8_t)(i - code);
            code = i;
        }
    }
    out[code] = (uint8_t)(end - code);
    out[end] = 0;
    return end + 1;
}

void nrv_frame_decoder_init(nrv_frame_decoder_t *decoder)
{
    memset(decoder, 0, sizeof *decoder);
}

void nrv_frame_decoder_restart(nrv_frame_decoder_t *decoder)
{
    decoder->started = 0;
}

/* Undoes COBS in place; the frame's bytes are then body[1 .. fill - 1]. Returns 0 if it is malformed. */
static int unstuff(uint8_t *body, size_t fill)
{
    size_t code = 0;
    while (code < fill) {
        const size_t next = code + body[code];
        if (next > fill)
            return 0;
        body[code] = 0;
        code = next;
    }
    return 1;
}

/* Checks and unpacks the body received. Returns 0 if it is corrupt. */
static int unpack(nrv_frame_decoder_t *decoder)
{
    const size_t fill = decoder->fill;
    if (fill > NRV_FRAME_BODY_MAX || fill < 1 + HEADER_SIZE + CRC_SIZE || !unstuff(decoder->body, fill))
        return 0;
    const uint8_t *raw = decoder->body + 1;
    const size_t checked = fill - 1 - CRC_SIZE;
    uint32_t crc = 0;
    for (unsigned i = 0; i < CRC_SIZE; i++)
        crc |= (uint32_t)raw[checked + i] << (8u * i);
    if (crc != nrv_crc32(0, raw, checked))
        return 0;
    decoder->type = raw[0];
    decoder->sequence = (uint16_t)(raw[1] | raw[2] << 8);
    decoder->payload = raw + HEADER_SIZE;
    decoder->length = (uint16_t)(checked - HEADER_SIZE);
    return 1;
}

int nrv_frame_decoder_push(nrv_frame_decoder_t *decoder, uint8_t byte)
{
    if (byte != 0) {
        /* A body too long stays at one more than fits: corrupt at the next zero. */
        if (decoder->fill < NRV_FRAME_BODY_MAX)
            decoder->body[decoder->fill++] = byte;
        else
            decoder->fill = NRV_FRAME_BODY_MAX + 1;
        return NRV_FRAME_NONE;
    }
    if (decoder->fill == 0)
        return NRV_FRAME_NONE;
    const int intact = unpack(decoder);
    decoder->fill = 0;
    if (!intact) {
        decoder->corrupt++;
        return NRV_FRAME_NONE;
    }
    const uint16_t ahead = (uint16_t)(decoder->sequence - decoder->expected);
    if (decoder->started && ahead >= 0x8000u) {
        decoder->behind++;
        return NRV_FRAME_BEHIND;
    }
    if (decoder->started)
        decoder->lost += ahead;
    decoder->started = 1;
    decoder->expected = (uint16_t)(decoder->sequence + 1u);
    decoder->good++;
    return NRV_FRAME_GOOD;
}

int nrv_frame_decoder_feed(nrv_frame_decoder_t *decoder, const uint8_t *bytes, size_t size, size_t *used)
{
    int result = NRV_FRAME_NONE;
    size_t i = 0;
    while (i < size && result == NRV_FRAME_NONE)
        result = nrv_frame_decoder_push(decoder, bytes[i++]);
    *used = i;
    return result;
}
