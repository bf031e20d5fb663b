#include "app.h"
#include "board.h"

void nrv_app_run(void)
{
    nrv_stream_init();
    for (;;) {
        nrv_board_kick();
        const bool busy = nrv_link_poll();
        nrv_stream_check_stale();
        if (!busy)
            nrv_board_idle();
    }
}
