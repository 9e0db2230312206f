/* tests/modules/absent.c: a library that a module needs and that is nowhere to be found. */
#include "reverie/status.h"

RV_API int rv_absent(void);
int rv_absent(void) { return 1; }
