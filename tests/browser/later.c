/* Loaded before the C library, it moves a program's calendar by LATER_S seconds; what measures spans is left alone. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *at) {
    int code = (int)syscall(SYS_clock_gettime, clock, at);
    if (code == 0 && clock == CLOCK_REALTIME) at->tv_sec += LATER_S;
    return code;
}
