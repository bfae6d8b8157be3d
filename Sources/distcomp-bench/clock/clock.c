// The first thing this program does is look at the clock: `distcomp-bench latency` runs it as a task, to learn when a task begins.
// Static and without a shell, so that as little as possible of its own start is measured with it.

#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>

int main(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return 1;
    printf("%lld.%06ld\n", (long long)now.tv_sec, now.tv_nsec / 1000);
    return 0;
}
