#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "greeting.h"

int main(int argc, char **argv) {
    char text[256];
    if (argc > 1 && strcmp(argv[1], "--check") == 0)
        return greeting(text, sizeof text, "health") > 0 ? 0 : 1;
    greeting(text, sizeof text, argc > 1 ? argv[1] : "nobody");
    printf("%s (uid %d)\n", text, (int)getuid());
    return 0;
}
