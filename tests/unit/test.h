/*
 * The whole of the unit tests' framework: each check prints one TAP line.
 *
 * A program lists its tests in main() with RUN(), which prints one line per test function;
 * inside one, CHECK() notes a failure with its place and goes on.
 */
#ifndef TEST_H
#define TEST_H

#include <stdio.h>
#include <string.h>

static int test_number, test_failures, test_failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                               \
            test_failed = 1;                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *g_ = (got), *w_ = (want);                                                      \
        if (!g_ || strcmp(g_, w_) != 0) {                                                          \
            printf("# %s:%d: got \"%s\", want \"%s\"\n", __FILE__, __LINE__, g_ ? g_ : "(null)",   \
                   w_);                                                                            \
            test_failed = 1;                                                                       \
        }                                                                                          \
    } while (0)

#define RUN(function)                                                                              \
    do {                                                                                           \
        test_failed = 0;                                                                           \
        function();                                                                                \
        printf("%s %d - %s\n", test_failed ? "not ok" : "ok", ++test_number, #function);           \
        test_failures += test_failed;                                                              \
    } while (0)

#define DONE() (printf("1..%d\n", test_number), test_failures != 0)

#endif
