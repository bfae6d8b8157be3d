// Loaded before libc into a redis-server of the tests: the time of day is the real one plus an offset that stands in a mapped file, so
// that it can be stepped while the server runs. Every other clock is left alone, as it is when somebody sets the clock of a real host.
//
// libfaketime would do it too, but it asks the allocator for memory before its first answer, and Debian's redis-server has jemalloc,
// which asks for the time before its first memory: the two call each other until the process dies.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t zero;
static const _Atomic int64_t *offset_nanoseconds = (const _Atomic int64_t *)&zero;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("STEPPED_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) _exit(86);  // A clock that silently does not step would make tests pass that should not.
    void *page = mmap(NULL, sizeof zero, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) _exit(86);
    close(file);
    offset_nanoseconds = page;
}

int clock_gettime(clockid_t clock, struct timespec *result) {
    if (syscall(SYS_clock_gettime, clock, result) != 0) return -1;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI) {
        int64_t total = result->tv_sec * INT64_C(1000000000) + result->tv_nsec + *offset_nanoseconds;
        result->tv_sec = total / 1000000000;
        result->tv_nsec = total % 1000000000;
    }
    return 0;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    result->tv_sec = now.tv_sec;
    result->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
