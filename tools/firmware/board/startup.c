/* The vector table of the Cortex-M3 and what runs before main. */
#include "board.h"

extern uint32_t board_stack_end[], board_data_start[], board_data_end[], board_bss_start[],
    board_bss_end[];
extern const uint32_t board_data_image[];

int main(void);

void board_reset(void)
{
    const uint32_t *from = board_data_image;
    uint32_t *to;

    for (to = board_data_start; to < board_data_end;)
        *to++ = *from++;
    for (to = board_bss_start; to < board_bss_end;)
        *to++ = 0;
    (void)main();
    board_power_off(BOARD_EXIT_FAULT);
}

static void fault(void)
{
    board_power_off(BOARD_EXIT_FAULT);
}

typedef void vector(void);

__attribute__((section(".vectors"), used)) static vector *const vectors[17] = {
    (vector *)board_stack_end,
    board_reset,
    fault, /* NMI */
    fault, /* hard fault */
    fault, /* memory management */
    fault, /* bus fault */
    fault, /* usage fault */
    [11] = fault,
    [12] = fault,
    [14] = fault,
    [15] = fault,
    [16] = board_uart_interrupt, /* IRQ 0 */
};
