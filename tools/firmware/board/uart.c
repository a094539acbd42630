/* The first CMSDK APB UART of the machine (Arm DDI 0479C, section 4.3). */
#include "board.h"

#define UART ((volatile uint32_t *)0x40004000)
enum { DATA = 0, STATE = 1, CTRL = 2, INT_CLEAR = 3, BAUD_DIVISOR = 4 };
enum { STATE_TX_FULL = 1, STATE_RX_FULL = 2 };
enum { CTRL_TX = 1, CTRL_RX = 2, CTRL_RX_INTERRUPT = 8 };
enum { INT_RX = 2 };

#define NVIC_ENABLE  ((volatile uint32_t *)0xe000e100)
#define IRQ_UART0_RX 0

/* Holds more than the largest frame: the station waits for an answer before it sends the next. */
static volatile uint8_t ring[2048];
static volatile uint32_t head, tail;

void board_uart_interrupt(void)
{
    UART[INT_CLEAR] = INT_RX;
    while (UART[STATE] & STATE_RX_FULL) {
        ring[head % sizeof ring] = (uint8_t)UART[DATA];
        head++;
    }
}

void board_init(void)
{
    UART[BAUD_DIVISOR] = 217; /* 25 MHz to 115,200 baud */
    UART[CTRL] = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
    NVIC_ENABLE[0] = 1u << IRQ_UART0_RX;
}

uint8_t board_uart_read(void)
{
    uint8_t byte;

    /* A masked interrupt still ends wfi: none is missed between the look and the sleep. */
    __asm volatile("cpsid i");
    while (head == tail) {
        __asm volatile("wfi");
        __asm volatile("cpsie i");
        __asm volatile("isb");
        __asm volatile("cpsid i");
    }
    __asm volatile("cpsie i");
    byte = ring[tail % sizeof ring];
    tail++;
    return byte;
}

void board_uart_write(void *context, const uint8_t *bytes, size_t len)
{
    (void)context;
    while (len-- > 0) {
        while (UART[STATE] & STATE_TX_FULL)
            continue;
        UART[DATA] = *bytes++;
    }
}
