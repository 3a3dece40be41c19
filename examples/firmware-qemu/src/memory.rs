//! Copying, filling and comparing bytes, and dividing 64 bits, in a tenth of the flash that the compiler's own take.
//!
//! Those of `compiler_builtins` are 4 KB on a Cortex-M3, because they serve chips that cannot load a word from an odd
//! address: for each of the four ways in which source and destination may lie there is a loop. A Cortex-M3 can, so two
//! loops do, and they are quicker as well: 4 instructions for 16 bytes that lie well, 10 for others. (A Cortex-M0 cannot:
//! leave this file out there.)
//!
//! The linker takes these because the compiler's are weak. The network's bytes are in them, so they are tested: by every
//! run of `cargo xtask firmware`, which reads back what was sent.

core::arch::global_asm!(
    r#"
    .syntax unified
    .section .text.memory, "ax", %progbits

    // void *memcpy(r0 to, r1 from, r2 bytes). From the front, each load before the stores that could hit it: what
    // memmove needs where `to` lies before `from`.
    .macro function name
    .global \name
    .type \name, %function
    .thumb_func
\name:
    .endm

    function __aeabi_memcpy8
    function __aeabi_memcpy4
    function __aeabi_memcpy
    function memcpy
    push {{r0, r4, r5, r6, lr}}
    subs r2, #16
    blo 4f
    orr r3, r0, r1
    lsls r3, r3, #30
    bne 3f
2:  ldmia r1!, {{r3, r4, r5, r6}}
    stmia r0!, {{r3, r4, r5, r6}}
    subs r2, #16
    bhs 2b
    b 4f
3:  ldr r3, [r1], #4
    ldr r4, [r1], #4
    ldr r5, [r1], #4
    ldr r6, [r1], #4
    str r3, [r0], #4
    str r4, [r0], #4
    str r5, [r0], #4
    str r6, [r0], #4
    subs r2, #16
    bhs 3b
4:  adds r2, #12
    blo 6f
5:  ldr r3, [r1], #4
    str r3, [r0], #4
    subs r2, #4
    bhs 5b
6:  adds r2, #4
    beq 8f
7:  ldrb r3, [r1], #1
    strb r3, [r0], #1
    subs r2, #1
    bne 7b
8:  pop {{r0, r4, r5, r6, pc}}
    .size memcpy, . - memcpy

    // void *memmove(r0 to, r1 from, r2 bytes). Only where `to` lies within what is copied must it be from the back.
    function __aeabi_memmove8
    function __aeabi_memmove4
    function __aeabi_memmove
    function memmove
    subs r3, r0, r1
    cmp r3, r2
    bhs memcpy
1:  subs r2, #1
    it lo
    bxlo lr
    ldrb r3, [r1, r2]
    strb r3, [r0, r2]
    b 1b
    .size memmove, . - memmove

    // void __aeabi_memclr(r0 at, r1 bytes); void __aeabi_memset(r0 at, r1 bytes, r2 value);
    // void *memset(r0 at, r1 value, r2 bytes).
    function __aeabi_memclr8
    function __aeabi_memclr4
    function __aeabi_memclr
    movs r2, #0
    function __aeabi_memset8
    function __aeabi_memset4
    function __aeabi_memset
    mov r3, r1
    mov r1, r2
    mov r2, r3
    function memset
    uxtb r1, r1
    orr r1, r1, r1, lsl #8
    orr r1, r1, r1, lsl #16
    mov r3, r0
    subs r2, #8
    blo 2f
1:  str r1, [r3], #4
    str r1, [r3], #4
    subs r2, #8
    bhs 1b
2:  adds r2, #8
    it eq
    bxeq lr
3:  strb r1, [r3], #1
    subs r2, #1
    bne 3b
    bx lr
    .size memset, . - memset

    // int memcmp(r0 a, r1 b, r2 bytes)
    function bcmp
    function memcmp
    push {{r4, lr}}
    mov r3, r0
    movs r0, #0
1:  subs r2, #1
    blo 2f
    ldrb r0, [r3], #1
    ldrb r4, [r1], #1
    subs r0, r0, r4
    beq 1b
2:  pop {{r4, pc}}
    .size memcmp, . - memcmp

    // {{quotient r0:r1, rest r2:r3}} __aeabi_uldivmod(r0:r1, r2:r3). By the chip's own division if both have 32 bits, as
    // in each record's round trip time; else bit by bit.
    function __aeabi_uldivmod
    orrs r12, r1, r3
    bne 3f
    udiv r12, r0, r2
    mls r2, r12, r2, r0
    mov r0, r12
    bx lr
3:
    push {{r4, r5, r6, r7, lr}}
    movs r4, #0
    movs r5, #0
    movs r6, #64
1:  adds r0, r0, r0
    adcs r1, r1, r1
    adcs r4, r4, r4
    adcs r5, r5, r5
    subs r7, r4, r2
    sbcs r12, r5, r3
    blo 2f
    mov r4, r7
    mov r5, r12
    adds r0, #1
2:  subs r6, #1
    bne 1b
    mov r2, r4
    mov r3, r5
    pop {{r4, r5, r6, r7, pc}}
    .size __aeabi_uldivmod, . - __aeabi_uldivmod
"#
);
