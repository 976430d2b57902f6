/* chatctl doctor: looks at all that has to be right, and says of each thing what to do. */
#include "commands.h"
#include "finding.h"

enum ctl_status doctor_run(char **words)
{
    (void)words;
    doctor_host();
    doctor_tls();
    doctor_database();
    return finding_print() ? CTL_FAILED : CTL_DONE;
}
