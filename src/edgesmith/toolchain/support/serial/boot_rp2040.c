/* The first 256 bytes of an RP2040's flash: what its boot ROM copies to RAM, checks and runs, so that the rest of the
 * flash can be read as memory. Any serial flash takes the command 03h, one bit at a time, at a fourth of the clock.
 * Source: RP2040 datasheet 2.8.1.3.1 (checksum: CRC-32 of 252 bytes, polynomial 0x04C11DB7, from all ones, not
 * reflected), 4.10.13 (SSI: CTRLR0 0x00, CTRLR1 0x04, SSIENR 0x08, BAUDR 0x14, SPI_CTRLR0 0xF4), 2.6.3 (XIP).
 * In assembly; tests/board/test_boot.py runs it:
 *     ldr r0, =0x18000000; movs r1, #0; str r1, [r0, #0x08]            SSIENR: off
 *     movs r1, #4; str r1, [r0, #0x14]                                 BAUDR
 *     ldr r1, =0x001F0300; str r1, [r0, #0x00]                         CTRLR0: frames of 32 bits, EEPROM read
 *     movs r1, #0; str r1, [r0, #0x04]                                 CTRLR1: one frame
 *     ldr r1, =0x03000218; ldr r2, =0x180000F4; str r1, [r2]           SPI_CTRLR0: 03h, 8 and 24 bits of it and address
 *     movs r1, #1; str r1, [r0, #0x08]                                 SSIENR: on
 *     ldr r0, =0x10000100; ldr r1, =0xE000ED08; str r0, [r1]           VTOR: the program's vectors
 *     ldm r0!, {r1, r2}; msr msp, r1; bx r2
 */
#include <stdint.h>

extern const uint16_t edgesmith_boot[128];
__attribute__((section(".boot2"), used)) const uint16_t edgesmith_boot[128] = {
    0x480A, 0x2100, 0x6081, 0x2104, 0x6141, 0x4909, 0x6001, 0x2100, 0x6041, 0x4908, 0x4A08, 0x6011,
    0x2101, 0x6081, 0x4807, 0x4908, 0x6008, 0xC806, 0xF381, 0x8808, 0x4710, 0x0000, 0x0000, 0x1800,
    0x0300, 0x001F, 0x0218, 0x0300, 0x00F4, 0x1800, 0x0100, 0x1000, 0xED08, 0xE000,
    [126] = 0xCD94, [127] = 0x6A98,
};
