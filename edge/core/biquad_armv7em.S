/* The cascade of biquad.h for M-profile cores with the DSP extension: Cortex-M4, M7, M33, M55.
 *
 * A sample of a section needs 9 coefficients, 6 past values, a 64-bit sum and pointers: more than the 14 registers
 * there are. So coefficients come in groups (LDM, LDRD) into registers that are free just then, and each new
 * value goes where the oldest one was: nothing is moved.
 *
 * Two ways through: blocks go channel by channel and section by section, through loops that do two samples a
 * turn; a few samples go value by value, each through all sections. Both give the same integers.
 */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && !defined(NRV_PORTABLE)
#if __ARM_ARCH_PROFILE == 'M'

    .syntax unified
    .thumb

/* From the finished sum lo, hi to the output y and the error e; `rest` keeps what it needs of the section's
 * state between error and output. QADD and QDADD are 4 hi limited; LSRS leaves the rounding bit in carry. */
.macro round y, e, lo, hi, rest:vararg
    sbfx \e, \lo, #6, #24
    qadd \hi, \hi, \hi
    lsrs \lo, \lo, #30
    adc \lo, \lo, #0
    \rest
    qdadd \y, \lo, \hi
.endm

/* lo, hi >>= bits */
.macro shift lo, hi, bits
    lsr \lo, \lo, #\bits
    orr \lo, \lo, \hi, lsl #(32 - \bits)
    asr \hi, \hi, #\bits
.endm

/* Words on the stack: the block loops' own; what is pushed here, {r0-r12, lr}; what the caller pushed. */
.equ END, 24        /* after the coefficients: where the channel ends */
.equ STRIDE, 28
.equ SECTION, 32    /* the next one, and how many are left */
.equ OWN, 40

.equ SECTIONS, 0    /* and their number */
.equ CHANNELS, 8
.equ STATE, 12
.equ SAMPLES, 48
.equ SIGNAL, 56

/* Of a sample in the block loops: r0 signal, r1 bytes to the channel's next sample, r2 lo, r3 hi, r10 and r11 a
 * pair of coefficients, r12 c_low, lr b2; on the stack b0, b1, c1, c2, w1, w2. Arguments are the place of the
 * sample and the registers of the past; x0 goes where x2 was, y0 where y2, e0 where e2. */
.macro add_pair one, two
    smlal r2, r3, \one, r10
    smlal r2, r3, \two, r11
.endm

.macro add_b at, x1, x2
    smlal r2, r3, \x2, lr
    ldr \x2, [\at]
    smlal r2, r3, \x2, r10
    smlal r2, r3, \x1, r11
.endm

.macro begin_0 y1, y2
    smulwb r2, \y1, r12
    smlawt r2, \y2, r12, r2
    asr r3, r2, #31
.endm

.macro end at, e2, y2
    round \y2, \e2, r2, r3
    str \y2, [\at]
.endm

.macro turn_from loop
    ldr r2, [sp, #END]
    add r0, r0, r1, lsl #1
    cmp r0, r2
    bne \loop
.endm

.macro sample_shifted at, bits, x1, x2, e1, e2, y1, y2
    ldrd r10, r11, [sp, #0]
    smull r2, r3, \x2, lr
    ldr \x2, [\at]
    smlal r2, r3, \x2, r10
    smlal r2, r3, \x1, r11
    smulwb r10, \y1, r12
    smlawt r10, \y2, r12, r10
    shift r2, r3, \bits
    adds r2, r2, r10
    adc r3, r3, r10, asr #31
    ldrd r10, r11, [sp, #8]
    add_pair \y1, \y2
    ldrd r10, r11, [sp, #16]
    add_pair \e1, \e2
    end "\at", \e2, \y2
.endm

.macro loop_shifted bits
even_\bits:
    sample_shifted "r0", \bits, r4, r5, r6, r7, r8, r9
odd_\bits:
    sample_shifted "r0, r1", \bits, r5, r4, r7, r6, r9, r8
    turn_from even_\bits
.endm

.equ BLOCK_LEAST, 8 /* samples: fewer are done faster one by one */

    .section .text.nrv_cascade_run, "ax", %progbits
    .global nrv_cascade_run
    .type nrv_cascade_run, %function
    .thumb_func
    .align 2
/* r0 sections, r1 n_sections, r2 channels, r3 state; on the stack: signal, samples */
nrv_cascade_run:
    ldr r12, [sp, #4]
    cmp r12, #1
    bne not_single

    /* One sample of all channels: the arguments but `samples`, in their places. */
row:
    push {r0-r12, lr}
    ldr r1, [sp, #SIGNAL]
channel:
    strd r2, r1, [sp, #CHANNELS] /* channels left, and the signal where STATE was */
    ldr r4, [r1]
    ldrd r12, lr, [sp, #SECTIONS]
    /* r3 state, r4 x0, r12 section, lr sections left. */
section:
    ldm r3, {r5-r10}            /* x1, x2, e1, e2, y1, y2 */
    ldm r12!, {r0-r2}           /* b0, b1, b2 */
    smull r0, r11, r0, r4
    smlal r0, r11, r1, r5
    smlal r0, r11, r2, r6
    ldm r12!, {r1, r2, r6}      /* b_shift, c_low, c1 */
    tbb [pc, r1]
by_b_shift:
    .byte (whole - by_b_shift) / 2
    .space 7
    .byte (by_8 - by_b_shift) / 2
    .space 7
    .byte (by_16 - by_b_shift) / 2
    .align 1
by_16:
    shift r0, r11, 16
    b whole
by_8:
    shift r0, r11, 8
whole:
    smulwb r1, r9, r2
    smlawt r1, r10, r2, r1
    adds r0, r0, r1
    adc r11, r11, r1, asr #31
    smlal r0, r11, r6, r9
    ldm r12!, {r1, r2, r6}      /* c2, w1, w2 */
    smlal r0, r11, r1, r10
    smlal r0, r11, r2, r7
    smlal r0, r11, r6, r8
    round r4, r6, r0, r11, stm r3!, {r4-r7} /* x0, x1, e0, e1 */
    subs lr, lr, #1
    bne section

    stm r3!, {r4, r9}
    ldrd r2, r1, [sp, #CHANNELS]
    str r4, [r1], #4
    subs r2, r2, #1
    bne channel
    pop {r0-r12, pc}

not_single:
    it cc
    bxcc lr
    push {r0-r12, lr}
    ldr r4, [sp, #SIGNAL]
    cmp r12, #BLOCK_LEAST
    bcs blocks
next_row:
    str r4, [sp]                /* for `row`, the caller's signal */
    bl row
    add r4, r3, #4              /* where the last channel was */
    ldrd r2, r3, [sp, #CHANNELS] /* and STATE */
    subs r12, r12, #1
    bne next_row
    pop {r0-r12, pc}

blocks:
    lsl r5, r2, #2
    mla r6, r12, r5, r4
    sub sp, sp, #OWN
    strd r6, r5, [sp, #END]     /* and STRIDE */
block_channel:
    ldrd r0, r1, [sp, #OWN + SECTIONS]
    strd r0, r1, [sp, #SECTION]
block:
    ldr r10, [sp, #SECTION]
    ldm r10!, {r1, r2, lr}      /* b0, b1, b2 */
    ldm r10!, {r3, r12}         /* b_shift, c_low */
    ldm r10!, {r4-r7}           /* c1, c2, w1, w2 */
    str r10, [sp, #SECTION]
    stm sp, {r1, r2, r4-r7}
    ldr r10, [sp, #OWN + STATE]
    ldr r0, [sp, #OWN + SIGNAL]
    ldr r1, [sp, #STRIDE]
    ldr r2, [sp, #OWN + SAMPLES]
    lsr r3, r3, #3
    lsrs r2, r2, #1
    adc r3, r3, r3              /* which loop, and whether the number of samples is odd */
    bcs 1f
    ldm r10, {r4-r9}            /* x1, x2, e1, e2, y1, y2 */
    b 2f
    /* It begins in the middle of a turn, with the past the other way round. */
1:  sub r0, r0, r1
    ldrd r5, r4, [r10]
    ldrd r7, r6, [r10, #8]
    ldrd r9, r8, [r10, #16]
2:  tbh [pc, r3, lsl #1]
by_kind:
    .hword (even_0 - by_kind) / 2
    .hword (odd_0 - by_kind) / 2
    .hword (even_8 - by_kind) / 2
    .hword (odd_8 - by_kind) / 2
    .hword (even_16 - by_kind) / 2
    .hword (odd_16 - by_kind) / 2

    /* b_shift 0. A pair of coefficients is left from one sample to the next: the second goes through them
     * backwards. */
odd_0:
    ldrd r10, r11, [sp, #16]
    b middle_0
even_0:
    ldrd r10, r11, [sp, #0]
loop_0:
    begin_0 r8, r9
    add_b "r0", r4, r5
    ldrd r10, r11, [sp, #8]
    add_pair r8, r9
    ldrd r10, r11, [sp, #16]
    add_pair r6, r7
    end "r0", r7, r9
middle_0:
    begin_0 r9, r8
    add_pair r7, r6
    ldrd r10, r11, [sp, #8]
    add_pair r9, r8
    ldrd r10, r11, [sp, #0]
    add_b "r0, r1", r5, r4
    end "r0, r1", r6, r8
    turn_from loop_0
    b block_done

    loop_shifted 8
    b block_done
    loop_shifted 16

block_done:
    ldr r10, [sp, #OWN + STATE]
    stm r10!, {r4-r7}
    str r10, [sp, #OWN + STATE]
    ldr r1, [sp, #SECTION + 4]
    subs r1, r1, #1
    str r1, [sp, #SECTION + 4]
    bne block

    stm r10!, {r8, r9}
    str r10, [sp, #OWN + STATE]
    ldr r0, [sp, #OWN + SIGNAL]
    ldr r1, [sp, #END]
    add r0, r0, #4
    add r1, r1, #4
    str r0, [sp, #OWN + SIGNAL]
    str r1, [sp, #END]
    ldr r2, [sp, #OWN + CHANNELS]
    subs r2, r2, #1
    str r2, [sp, #OWN + CHANNELS]
    bne block_channel
    add sp, sp, #OWN
    pop {r0-r12, pc}

    .size nrv_cascade_run, . - nrv_cascade_run

#endif
#endif

#ifdef __ELF__
    .section .note.GNU-stack, "", %progbits
#endif
