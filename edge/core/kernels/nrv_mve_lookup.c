#include "nrv_mve_lookup.h"

#include "nrv_mve.h"

void nrv_mve_lookup(const nrv_lookup_t *p, const int8_t *input, int8_t *output)
{
#ifdef NRV_MVE_ASM
    __asm__ volatile(
        "wlstp.8 lr, %[count], 2f\n"
        "1:\n\t"
        "vldrb.8 q0, [%[input]], #16\n\t"
        "vldrb.u8 q1, [%[table], q0]\n\t"
        "vstrb.8 q1, [%[output]], #16\n\t"
        "letp lr, 1b\n"
        "2:\n\t"
        : [input] "+r"(input), [output] "+r"(output)
        : [count] "r"(p->count), [table] "r"(p->table)
        : "lr", "q0", "q1", "memory");
#else
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = p->table[(uint8_t)input[i]];
    }
#endif
}
