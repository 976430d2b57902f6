/*
 * How fast this machine computes bcrypt when nothing is around it: what logins are measured
 * against.
 *
 *   crypt PROCESSES COST SECONDS [low]     prints a line of JSON; low: with the priority of an auth
 *                                          worker, for when there is something around it
 */
#include <crypt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "priority.h"

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Hashes until the time is over; writes how many, and in what time, as one record. */
static void hash(int out, unsigned long cost, double seconds)
{
    struct crypt_data *data = calloc(1, sizeof(*data));
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    double record[2] = {0, 0}, start = now();
    if (!data || !crypt_gensalt_rn("$2b$", cost, NULL, 0, setting, sizeof(setting)))
        _exit(1);
    do {
        const char *made = crypt_r("some password or other", setting, data);
        if (!made || made[0] == '*')
            _exit(1);
        record[0]++;
        record[1] = now() - start;
    } while (record[1] < seconds);
    _exit(write(out, record, sizeof(record)) == (ssize_t)sizeof(record) ? 0 : 1);
}

int main(int argc, char **argv)
{
    bool low = argc == 5 && strcmp(argv[4], "low") == 0;
    int processes = argc == 4 || low ? atoi(argv[1]) : 0, ends[2];
    if (processes < 1 || pipe(ends) < 0) {
        fputs("usage: crypt PROCESSES COST SECONDS [low]\n", stderr);
        return 2;
    }
    for (int i = 0; i < processes; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (low)
                priority_lower();
            hash(ends[1], strtoul(argv[2], NULL, 10), atof(argv[3]));
        }
        if (pid < 0)
            return 1;
    }
    close(ends[1]);
    double rate = 0, record[2];
    int records = 0;
    for (; read(ends[0], record, sizeof(record)) == (ssize_t)sizeof(record); records++)
        rate += record[0] / record[1];
    while (wait(NULL) > 0)
        ;
    printf("{\"mode\":\"crypt\",\"processes\":%d,\"per_second\":%.3f}\n", records, rate);
    return records == processes ? 0 : 1;
}
