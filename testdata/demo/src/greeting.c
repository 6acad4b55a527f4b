#include <stdio.h>
#include <stdlib.h>

#include "greeting.h"

int greeting(char *out, size_t size, const char *name) {
    const char *word = getenv("GREETING");
    return snprintf(out, size, "%s, %s!", word ? word : "Good day", name);
}
