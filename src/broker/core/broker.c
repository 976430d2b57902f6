/* The broker's configuration and event loop; see broker.h. */
#include "broker.h"

struct broker broker;
