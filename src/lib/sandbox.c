/* Confining a process; see sandbox.h. */
#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "sanitized.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "sandbox.c: add the AUDIT_ARCH_ of this processor, and look at the lists of the roles"
#endif

/* --- the filter of system calls --- */

enum { PROGRAM_MAX = 1024, RULES_MAX = 128, BLOCK = 7, X32_BIT = 0x40000000 };

#define PLACE(member) ((uint32_t)offsetof(struct seccomp_data, member))

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short length;
    unsigned short self;              /* the instruction that holds the pid */
    const struct sandbox_rule *rules; /* that it was made of */
};

/* Emits an instruction; a jump skips so many instructions if its comparison holds, or if not. */
static void emit(struct program *p, unsigned code, uint32_t k, unsigned yes, unsigned no)
{
    if (p->length == PROGRAM_MAX)
        bug("sandbox: more than %d instructions", PROGRAM_MAX);
    p->code[p->length++] =
        (struct sock_filter){(unsigned short)code, (unsigned char)yes, (unsigned char)no, k};
}

static void emit_load(struct program *p, uint32_t place)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, place, 0, 0);
}

static void emit_return(struct program *p, uint32_t action)
{
    emit(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Both halves of an argument; both processors are little-endian. */
static uint32_t low_half(unsigned arg)
{
    return PLACE(args) + 8 * arg;
}

/* A jump out of the rule; the end of the rule fills in the distance. */
enum { OUT = 255 };

static void emit_equal(struct program *p, uint32_t place, uint32_t mask, uint32_t value)
{
    if (mask == 0)
        return;
    emit_load(p, place);
    if (mask != UINT32_MAX)
        emit(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, OUT);
}

static void emit_above(struct program *p, uint32_t low, uint64_t value)
{
    uint32_t high_half = (uint32_t)(value >> 32);
    emit_load(p, low + 4);
    emit(p, BPF_JMP | BPF_JGT | BPF_K, high_half, 3, 0);
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, high_half, 0, OUT);
    emit_load(p, low);
    emit(p, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)value, 0, OUT);
}

static void emit_match(struct program *p, const struct sandbox_match *m)
{
    uint32_t low = low_half(m->arg);
    if (m->how == SANDBOX_SELF) {
        emit_load(p, low);
        p->self = p->length;
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, OUT);
    } else if (m->how == SANDBOX_EQUAL) {
        emit_equal(p, low, (uint32_t)m->mask, (uint32_t)m->value);
        emit_equal(p, low + 4, (uint32_t)(m->mask >> 32), (uint32_t)(m->value >> 32));
    } else {
        emit_above(p, low, m->value);
    }
}

/* The distance from a jump to the next instruction emitted. */
static unsigned char distance(const struct program *p, unsigned jump)
{
    unsigned n = p->length - jump - 1;
    if (n >= OUT)
        bug("sandbox: a jump over %u instructions", n);
    return (unsigned char)n;
}

static bool always_matches(const struct sandbox_rule *rule)
{
    return rule->when[0].how == SANDBOX_NO_MATCH;
}

static void emit_rule(struct program *p, const struct sandbox_rule *rule)
{
    unsigned begin = p->length;
    for (int i = 0; i < SANDBOX_MATCHES && rule->when[i].how != SANDBOX_NO_MATCH; i++)
        emit_match(p, &rule->when[i]);
    emit_return(p, rule->action);
    for (unsigned i = begin; i < p->length; i++)
        if (BPF_CLASS(p->code[i].code) == BPF_JMP && p->code[i].jf == OUT)
            p->code[i].jf = distance(p, i);
}

/* All rules of one call. Its number is loaded before, and for another call after. */
static void emit_call(struct program *p, const struct sandbox_rule *rules, size_t n,
                      uint32_t otherwise)
{
    unsigned begin = p->length;
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rules->call, 0, 0);
    for (size_t i = 0; i < n; i++)
        emit_rule(p, &rules[i]);
    if (!always_matches(&rules[n - 1]))
        emit_return(p, otherwise);
    p->code[begin].jf = distance(p, begin);
}

/* Call numbers depend on the architecture: with another one a forbidden call could pass for an
 * allowed one. x32 shares x86_64's architecture and sets a bit in the number. */
static void emit_architecture(struct program *p)
{
    emit_load(p, PLACE(arch));
    emit(p, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    emit_return(p, SECCOMP_RET_KILL_PROCESS);
    emit_load(p, PLACE(nr));
#ifdef __x86_64__
    emit(p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    emit_return(p, SECCOMP_RET_KILL_PROCESS);
#endif
}

static void sort(struct sandbox_rule *rules, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct sandbox_rule rule = rules[i];
        size_t at = i;
        for (; at > 0 && rules[at - 1].call > rule.call; at--)
            rules[at] = rules[at - 1];
        rules[at] = rule;
    }
}

/* The end of the rules for the first one's call. */
static size_t end_of_call(const struct sandbox_rule *rules, size_t n, size_t first)
{
    size_t end = first + 1;
    while (end < n && rules[end].call == rules[first].call)
        end++;
    return end;
}

/* The list in blocks, so that later calls skip earlier blocks: on installing a filter the kernel
 * runs it for every call number, and a session installs one for each client. */
static void emit_list(struct program *p, const struct sandbox_rule *rules, size_t n,
                      uint32_t otherwise)
{
    for (size_t i = 0; i < n;) {
        unsigned begin = p->length;
        emit(p, BPF_JMP | BPF_JGE | BPF_K, 0, 0, 0);
        for (size_t first = i; i < n && i < first + BLOCK;) {
            size_t end = end_of_call(rules, n, i);
            emit_call(p, &rules[i], end - i, otherwise);
            i = end;
        }
        emit_return(p, otherwise);
        p->code[begin].k = (uint32_t)(i < n ? rules[i].call : rules[n - 1].call + 1);
        p->code[begin].jt = distance(p, begin);
    }
    emit_return(p, otherwise);
}

/* The role's list, and what every process may do: get its pid, and end. */
static void emit_rules(struct program *p, const struct sandbox *s)
{
    const struct sandbox_rule end[] = {
        ALLOW(exit_group, "the end"),
        ALLOW(getpid, "the name in the log"),
        ALLOW(gettid, "abort(3)"),
        ALLOW(rt_sigprocmask, "abort(3)"),
        ALLOW_IF(tgkill, "abort(3): to itself", {SANDBOX_SELF, 0, 0, 0}, ARG_IS(2, SIGABRT)),
        ALLOW_IF(writev, "what libc says before it aborts", ARG_IS(0, STDERR_FILENO)),
    };
    struct sandbox_rule all[RULES_MAX];
    size_t more = sizeof(end) / sizeof(end[0]);
    if (s->count + more > RULES_MAX)
        bug("sandbox: more than %d rules", RULES_MAX);
    memcpy(all, s->rules, s->count * sizeof(*all));
    memcpy(all + s->count, end, sizeof(end));
    sort(all, s->count + more);
    emit_list(p, all, s->count + more, s->otherwise);
}

static struct program program;

void sandbox_prepare(const struct sandbox *s)
{
    if (program.length > 0 && program.rules == s->rules)
        return;
    program.rules = s->rules;
    program.length = 0;
    emit_architecture(&program);
    emit_rules(&program, s);
}

static void filter_calls(const struct sandbox *s)
{
    sandbox_prepare(s);
    program.code[program.self].k = (uint32_t)getpid();
    struct sock_fprog filter = {.len = program.length, .filter = program.code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0)
        die("the filter of system calls: %s; chatd needs a kernel with CONFIG_SECCOMP_FILTER",
            strerror(errno));
}

/* --- Landlock --- */

/* As landlock(7) describes it, for headers that are older than the kernel. */
struct landlock_rules {
    uint64_t files, net, scopes;
};

enum {
    LL_VERSION = 1 << 0, /* flag: return the version */
    LL_TCP = 3,          /* bind, connect */
    LL_TCP_BIND = 1,
    LL_SCOPES = 3, /* abstract Unix sockets, signals */
    LL_SCOPE_SIGNAL = 2,
    LL_FILES_READ = 4 | 8, /* files, folders */
};

/* The number of file rights that a version of Landlock knows. */
static unsigned landlock_file_rights(long version)
{
    return version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;
}

/* A handled right that no rule grants is denied. An older kernel denies less; the filter of system
 * calls does not depend on it. */
static void close_landlock(unsigned keeps)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION);
    if (version < 1)
        return;
    struct landlock_rules rules = {.files = (1ULL << landlock_file_rights(version)) - 1};
    if (keeps & SANDBOX_READS_FILES)
        rules.files &= ~(uint64_t)LL_FILES_READ;
    if (version >= 4)
        rules.net = keeps & SANDBOX_CONNECTS ? LL_TCP_BIND : LL_TCP;
    if (version >= 6)
        rules.scopes = keeps & SANDBOX_CONNECTS ? LL_SCOPE_SIGNAL : LL_SCOPES;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        die("Landlock: %s", strerror(errno));
    close(fd);
}

/* --- all of it --- */

static void limit(const struct sandbox_limit *limits)
{
    for (; limits->resource || limits->most; limits++) {
        struct rlimit l;
        if (getrlimit((__rlimit_resource_t)limits->resource, &l) < 0)
            die("getrlimit: %s", strerror(errno));
        if (l.rlim_max > limits->most)
            l.rlim_max = limits->most;
        if (l.rlim_cur > l.rlim_max)
            l.rlim_cur = l.rlim_max;
        if (setrlimit((__rlimit_resource_t)limits->resource, &l) < 0)
            die("setrlimit: %s", strerror(errno));
    }
}

rlim_t sandbox_file_size(int log_fd)
{
    struct stat st;
    return log_fd >= 0 && fstat(log_fd, &st) == 0 && S_ISREG(st.st_mode) ? RLIM_INFINITY : 0;
}

void sandbox_close(const struct sandbox *s)
{
#if !SANITIZED
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        die("PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
    close_landlock(s->keeps);
    limit(s->limits);
    filter_calls(s);
#else
    (void)s;
    (void)limit;
    (void)close_landlock;
    (void)filter_calls;
#endif
}
