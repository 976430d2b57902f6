/* Close codes for statuses; see close_code.h. */
#include "close_code.h"

int close_code_of(int status)
{
    switch (status) {
    case 401:
        return 4401;
    case 403:
        return 4403;
    case 429:
    case 503:
        return 1013;
    default:
        return 1011;
    }
}
