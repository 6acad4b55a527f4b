#include <stddef.h>

/* Writes a greeting for name and gives its length. */
int greeting(char *out, size_t size, const char *name);
