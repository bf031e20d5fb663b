/* Bytes from one interrupt handler to the main loop, without locks: each index has one writer. */
#ifndef NRV_RING_H
#define NRV_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef NRV_RING_SIZE /* a board's flags may give another power of two */
#define NRV_RING_SIZE 2048u /* eight full frames, 178 ms at 115200 baud */
#endif

typedef struct {
    volatile uint32_t head; /* written by the interrupt handler only */
    volatile uint32_t tail; /* written by the main loop only */
    volatile uint8_t bytes[NRV_RING_SIZE];
} nrv_ring_t;

static inline bool nrv_ring_empty(const nrv_ring_t *ring)
{
    return ring->head == ring->tail;
}

static inline bool nrv_ring_put(nrv_ring_t *ring, uint8_t byte)
{
    uint32_t head = ring->head;
    if (head - ring->tail == NRV_RING_SIZE) {
        return false;
    }
    ring->bytes[head % NRV_RING_SIZE] = byte;
    ring->head = head + 1u;
    return true;
}

static inline size_t nrv_ring_take(nrv_ring_t *ring, uint8_t *to, size_t room)
{
    uint32_t tail = ring->tail;
    uint32_t waiting = ring->head - tail;
    size_t n = waiting < room ? waiting : room;
    for (size_t i = 0; i < n; i++) {
        to[i] = ring->bytes[(tail + i) % NRV_RING_SIZE];
    }
    ring->tail = tail + (uint32_t)n;
    return n;
}

#endif
