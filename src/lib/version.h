/* Which chatd this is; a package sets its own by -DCHATD_VERSION. */
#ifndef VERSION_H
#define VERSION_H

#ifndef CHATD_VERSION
#define CHATD_VERSION "0.1"
#endif

#endif
