/*
 * Confines a process for good: no new privileges, resource limits, Landlock, and a filter of system
 * calls, seccomp(2).
 *
 * This is the mechanism. Each role's folder lists what the role may do, one row per system call
 * with the reason. Of several rows for one call the first match decides. Getting the pid and
 * ending, by abort(3) too, need no row. A build for AddressSanitizer is not confined: its runtime
 * opens files, makes processes that ptrace(2) this one, and maps terabytes.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { SANDBOX_MATCHES = 3, SANDBOX_LIMITS = 8 };

/* A condition on a call's argument; all conditions of a rule must hold. */
struct sandbox_match {
    enum { SANDBOX_NO_MATCH, SANDBOX_EQUAL, SANDBOX_ABOVE, SANDBOX_SELF } how;
    unsigned arg; /* the first is 0 */
    uint64_t mask, value;
};

struct sandbox_rule {
    int call;
    uint32_t action; /* SECCOMP_RET_… */
    struct sandbox_match when[SANDBOX_MATCHES];
};

/* Rows of a list of rules. The reason is for the reader. */
#define ALLOW(call, why)                                                                           \
    {                                                                                              \
        SYS_##call, SECCOMP_RET_ALLOW,                                                             \
        {                                                                                          \
            {                                                                                      \
                SANDBOX_NO_MATCH, 0, 0, 0                                                          \
            }                                                                                      \
        }                                                                                          \
    }
#define ALLOW_IF(call, why, ...)                                                                   \
    {                                                                                              \
        SYS_##call, SECCOMP_RET_ALLOW,                                                             \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define FAIL(call, error, why)                                                                     \
    {                                                                                              \
        SYS_##call, SANDBOX_ERRNO(error),                                                          \
        {                                                                                          \
            {                                                                                      \
                SANDBOX_NO_MATCH, 0, 0, 0                                                          \
            }                                                                                      \
        }                                                                                          \
    }
#define KILL_IF(call, why, ...)                                                                    \
    {                                                                                              \
        SYS_##call, SECCOMP_RET_KILL_PROCESS,                                                      \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define KILL(call, why)                                                                            \
    {                                                                                              \
        SYS_##call, SECCOMP_RET_KILL_PROCESS,                                                      \
        {                                                                                          \
            {                                                                                      \
                SANDBOX_NO_MATCH, 0, 0, 0                                                          \
            }                                                                                      \
        }                                                                                          \
    }

/* Conditions: an int, or a whole pointer-sized value, equals this; these bits of an int equal
 * those; a pointer is above this. */
#define ARG_IS(arg, value)                                                                         \
    {                                                                                              \
        SANDBOX_EQUAL, (arg), 0xffffffff, (uint32_t)(value)                                        \
    }
#define ARG_WHOLE(arg, value)                                                                      \
    {                                                                                              \
        SANDBOX_EQUAL, (arg), UINT64_MAX, (uint64_t)(value)                                        \
    }
#define ARG_BITS(arg, mask, value)                                                                 \
    {                                                                                              \
        SANDBOX_EQUAL, (arg), (uint32_t)(mask), (uint32_t)(value)                                  \
    }
#define ARG_ABOVE(arg, value)                                                                      \
    {                                                                                              \
        SANDBOX_ABOVE, (arg), UINT64_MAX, (uint64_t)(value)                                        \
    }

#define SANDBOX_ERRNO(error) (SECCOMP_RET_ERRNO | (uint32_t)(error))

/* What Landlock allows, where the kernel has it; it denies everything else that it knows. */
enum {
    SANDBOX_READS_FILES = 1 << 0,
    SANDBOX_CONNECTS = 1 << 1, /* TCP, and abstract Unix sockets */
};

struct sandbox {
    const struct sandbox_rule *rules;
    size_t count;
    uint32_t otherwise; /* the action for a call that no rule matches */
    unsigned keeps;
    /* Resource limits; ends with a row of zeros, which nobody sets as a limit. */
    struct sandbox_limit {
        int resource; /* RLIMIT_… */
        rlim_t most;
    } limits[SANDBOX_LIMITS];
};

/* Makes the filter of system calls, for processes that are forked from this one. */
void sandbox_prepare(const struct sandbox *s);

/* Confines this process. Dies if the kernel cannot: it must not go on. */
void sandbox_close(const struct sandbox *s);

/* RLIMIT_FSIZE for a process that logs to this descriptor (-1: none): 0, unless the log is a file,
 * which must grow; the process holds no other file. */
rlim_t sandbox_file_size(int log_fd);

#endif
