/* Frames of the serial link: COBS(type u8, sequence u16, payload 0..240 bytes, CRC-32) then a zero byte.
 *
 * Numbers are little-endian. The CRC is CRC-32/ISO-HDLC (that of zlib and Ethernet) over type, sequence and
 * payload. COBS: Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999; no frame is long enough for
 * a second code byte without a zero, so it costs one byte. The decoder takes a byte at a time, is in step
 * again after the next zero byte, and counts what it could not use.
 */
#ifndef NRV_FRAME_H
#define NRV_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define NRV_FRAME_PAYLOAD_MAX 240
#define NRV_FRAME_BODY_MAX 248 /* code byte, type, sequence, payload, CRC */
#define NRV_FRAME_WIRE_MAX 249 /* and the zero byte */

enum {
    NRV_FRAME_NONE = 0,  /* no frame complete */
    NRV_FRAME_GOOD = 1,  /* a frame; type, sequence, payload and length are valid until the next byte */
    NRV_FRAME_BEHIND = 2 /* as GOOD, but repeated or late: its sequence number lies behind the newest */
};

typedef struct {
    uint32_t good;    /* frames with a sequence number ahead */
    uint32_t corrupt; /* wrong CRC, COBS or length */
    uint32_t lost;    /* sequence numbers skipped */
    uint32_t behind;  /* duplicates and late ones */
    uint16_t expected;
    uint8_t started;
    uint8_t type;
    uint16_t sequence;
    uint16_t length;
    uint16_t fill;
    const uint8_t *payload;
    uint8_t body[NRV_FRAME_BODY_MAX];
} nrv_frame_decoder_t;

/* CRC-32 of data[size]; 0 for `crc` to begin, the result so far to go on. */
uint32_t nrv_crc32(uint32_t crc, const uint8_t *data, size_t size);

/* Writes a frame to out[NRV_FRAME_WIRE_MAX]. Returns its size, 0 if the payload is too long. */
size_t nrv_frame_encode(uint8_t type, uint16_t sequence, const uint8_t *payload, size_t length, uint8_t *out);

/* Forgets everything, counters too. */
void nrv_frame_decoder_init(nrv_frame_decoder_t *decoder);

/* Accepts any sequence number next: the other side has started again. */
void nrv_frame_decoder_restart(nrv_frame_decoder_t *decoder);

/* Takes a byte; returns NRV_FRAME_NONE, _GOOD or _BEHIND. */
int nrv_frame_decoder_push(nrv_frame_decoder_t *decoder, uint8_t byte);

/* Takes bytes[size] until a frame is complete; *used is the number taken. Returns as _push. */
int nrv_frame_decoder_feed(nrv_frame_decoder_t *decoder, const uint8_t *bytes, size_t size, size_t *used);

#endif
