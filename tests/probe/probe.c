/*
 * Tries what the processes of chatd must not do: for each role, in a process that was closed in as
 * that role is, by the very same function, one forbidden thing after the other, each in a process
 * of its own. Prints a line for each:
 *
 *   session open-to-read killed 31
 *   broker open-to-write denied EACCES
 *
 * or "allowed". What a role needs is tried, too: a sandbox that denies everything is none. The role
 * "landlock" has no filter of calls, so that Landlock is seen to deny by itself. tests/sandbox.bats
 * knows what has to come out.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth_sandbox.h"
#include "broker_sandbox.h"
#include "conf.h"
#include "exporter_sandbox.h"
#include "role.h"
#include "sandbox.h"
#include "session_sandbox.h"
#include "signer_sandbox.h"

static struct conf conf;
static pid_t parent;
static int pair[2];                /* of Unix sockets */
static int client[2];              /* the same, and nobody minds when it ends */
static int listener;               /* TCP on loopback */
static int udp;                    /* a socket that could send anywhere */
static const char file[] = "file"; /* in a folder of our own, the working directory */
static int file_fd;
static struct sockaddr_in tcp_address;
static struct sockaddr_un abstract_address; /* somebody listens there */
static socklen_t abstract_size = sizeof(abstract_address);

/* --- what is tried; 0 or more, or -1 and errno --- */

static long open_to_read(void)
{
    return open("/etc/passwd", O_RDONLY);
}

static long open_to_write(void)
{
    return open(file, O_WRONLY);
}

static long create(void)
{
    return open("made", O_WRONLY | O_CREAT, 0600);
}

static long truncate_file(void)
{
    return truncate(file, 0);
}

static long run_program(void)
{
    char *argv[] = {(char[]){"true"}, NULL};
    return execv("/bin/true", argv);
}

static long run_open_program(void)
{
    char *argv[] = {(char[]){"true"}, NULL};
    return syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0);
}

static long make_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static long make_process_anew(void)
{
    return syscall(SYS_clone3, NULL, 0);
}

static long trace_me(void)
{
    return ptrace(PTRACE_TRACEME, 0, 0, 0);
}

static long attach(void)
{
    return ptrace(PTRACE_SEIZE, parent, 0, 0);
}

static long read_others(void)
{
    char byte;
    struct iovec mine = {&byte, 1}, theirs = {&conf, 1};
    return process_vm_readv(parent, &mine, 1, &theirs, 1, 0);
}

static long write_others(void)
{
    char byte = 0;
    struct iovec mine = {&byte, 1}, theirs = {&byte, 1};
    return process_vm_writev(parent, &mine, 1, &theirs, 1, 0);
}

static long take_descriptor_of_others(void)
{
    return syscall(SYS_pidfd_open, parent, 0);
}

static long signal_others(void)
{
    return kill(parent, SIGCONT);
}

static long abort_others(void)
{
    return syscall(SYS_tgkill, parent, parent, SIGABRT);
}

static long unix_stream(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long unix_datagram(void)
{
    return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static long unix_packet(void)
{
    return socket(AF_UNIX, SOCK_SEQPACKET, 0);
}

static long tcp_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static long udp_socket(void)
{
    return socket(AF_INET6, SOCK_DGRAM, 0);
}

static long raw_socket(void)
{
    return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static long packet_socket(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0);
}

static long socket_pair(void)
{
    int fds[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static long connect_tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&tcp_address, sizeof(tcp_address));
}

static long serve_tcp(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? -1 : bind(fd, (struct sockaddr *)&any, sizeof(any));
}

static long listen_again(void)
{
    return listen(listener, 1);
}

/* Not from an address that stands where the broker's does. */
static long connect_to(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    long result = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    return result < 0 && errno == ENOENT ? 0 : result; /* it was looked for, that is enough */
}

static long connect_to_others(void)
{
    struct sockaddr_un copy = session_broker;
    return connect_to(&copy);
}

static long connect_to_broker(void)
{
    return connect_to(&session_broker);
}

static long connect_abstract(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&abstract_address, abstract_size);
}

static long send_to_address(void)
{
    return sendto(udp, "", 1, 0, (struct sockaddr *)&tcp_address, sizeof(tcp_address));
}

static long pass_descriptor(void)
{
    struct iovec iov = {(char[]){"x"}, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    return sendmsg(pair[0], &message, 0);
}

static void *page_of(const void *p)
{
    return (void *)((uintptr_t)p & ~(uintptr_t)4095);
}

static long make_writable(void)
{
    return mprotect(page_of(&session_broker), 4096, PROT_READ | PROT_WRITE);
}

static long make_executable(void)
{
    return mprotect(page_of(&conf), 4096, PROT_READ | PROT_EXEC);
}

static long map_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? -1 : 0;
}

static long map_over(void)
{
    void *p = mmap(page_of(&session_broker), 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return p == MAP_FAILED ? -1 : 0;
}

static long map_file(void)
{
    void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file_fd, 0);
    return p == MAP_FAILED ? -1 : 0;
}

static long unmap_address(void)
{
    return munmap(page_of(&session_broker), 4096);
}

static long move_address(void)
{
    void *p = mremap(page_of(&session_broker), 4096, 8192, MREMAP_MAYMOVE);
    return p == MAP_FAILED ? -1 : 0;
}

/* The page of a constant comes back from the program's file, as it was. */
static long drop_address(void)
{
    if (madvise(page_of(&session_broker), 4096, MADV_DONTNEED) < 0)
        return -1;
    return strcmp(session_broker.sun_path, "broker.sock") == 0 ? 0 : -1;
}

static long other_advice(void)
{
    return madvise(page_of(&session_broker), 4096, MADV_MERGEABLE);
}

static long shared_memory(void)
{
    return syscall(SYS_memfd_create, "probe", 0);
}

static long become_root(void)
{
    return syscall(SYS_setresuid, 0, 0, 0);
}

static long leave_root(void)
{
    return syscall(SYS_chroot, ".");
}

static long go_elsewhere(void)
{
    return chdir("/");
}

static long raise_limit(void)
{
    struct rlimit l = {64, 64};
    return (int)syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &l, NULL);
}

/* To what it is already: this one goes on. */
static long limit_others(void)
{
    return (int)syscall(SYS_prlimit64, parent, RLIMIT_CORE, &(struct rlimit){0, 0}, NULL);
}

static long be_looked_at(void)
{
    return prctl(PR_SET_DUMPABLE, 1);
}

static long another_filter(void)
{
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
}

static long new_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static long terminal_input(void)
{
    return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static long own_descriptor(void)
{
    return fcntl(pair[0], F_SETOWN, parent);
}

static long copy_descriptor(void)
{
    return fcntl(pair[0], F_DUPFD, 0);
}

/* The log is open for others as well: they would find it so, too. */
static long change_log(void)
{
    return fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
}

static long shut_log(void)
{
    long result = shutdown(STDERR_FILENO, SHUT_RD);
    return result < 0 && errno == ENOTSOCK ? 0 : result; /* it was tried, that is enough */
}

static long shut_client(void)
{
    return shutdown(client[0], SHUT_WR);
}

static long other_option(void)
{
    int size = 100000;
    return setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static long write_elsewhere(void)
{
    return pwrite(file_fd, "x", 1, 0);
}

static long shorten_file(void)
{
    return ftruncate(file_fd, 0);
}

static long watch_files(void)
{
    return syscall(SYS_inotify_init1, 0);
}

static long set_timer(void)
{
    struct itimerval never = {0};
    return setitimer(ITIMER_REAL, &never, NULL);
}

static long io_ring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL);
}

static long load_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long watch_performance(void)
{
    return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0);
}

static long page_faults(void)
{
    return syscall(SYS_userfaultfd, 0);
}

static long keys(void)
{
    return syscall(SYS_keyctl, 0, -3, 0);
}

static long mount_something(void)
{
    return syscall(SYS_mount, NULL, "/", NULL, 0, NULL);
}

static long make_directory(void)
{
    return mkdir("folder", 0700);
}

static long remove_file(void)
{
    return unlink(file);
}

static long change_mode(void)
{
    return chmod(file, 0600);
}

#ifdef __x86_64__
/* getpid(2), as other architectures of this processor number it. */
static long x32_call(void)
{
    return syscall(0x40000000 | SYS_getpid);
}

static long i386_call(void)
{
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    return result;
}
#endif

/* --- what must go on --- */

static long use_memory(void)
{
    char *p = NULL;
    for (size_t n = 1000; n < 80000000; n *= 3) {
        char *q = realloc(p, n);
        if (!q)
            return -1;
        p = q;
        p[n - 1] = 1;
    }
    free(p);
    return 0;
}

static long talk(void)
{
    char byte;
    struct pollfd fd = {.fd = pair[1], .events = POLLIN};
    if (send(pair[0], "x", 1, MSG_NOSIGNAL) != 1 || poll(&fd, 1, 0) != 1)
        return -1;
    return recv(pair[1], &byte, 1, 0);
}

static long compute(void)
{
    char byte;
    return send(pair[0], "x", 1, MSG_NOSIGNAL) == 1 ? recv(ROLE_FD_AUTH, &byte, 1, 0) : -1;
}

static long sign(void)
{
    char byte;
    struct pollfd fd = {.fd = ROLE_FD_SIGN, .events = POLLIN};
    if (send(pair[0], "x", 1, MSG_NOSIGNAL) != 1 || ppoll(&fd, 1, NULL, NULL) != 1)
        return -1;
    return recv(ROLE_FD_SIGN, &byte, 1, 0);
}

/* Somebody has connected, and gets a byte. */
static long serve_visitor(void)
{
    int fd = accept4(ROLE_FD_ADMIN, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 ? -1 : write(fd, "x", 1);
}

static long accept_elsewhere(void)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static long abort_itself(void)
{
    abort();
}

/* clang-format off */
#define PROBE(function) {#function, function}
static const struct probe {
    const char *name;
    long (*run)(void);
} probes[] = {
    PROBE(open_to_read),      PROBE(open_to_write),     PROBE(create),
    PROBE(truncate_file),     PROBE(shorten_file),      PROBE(write_elsewhere),
    PROBE(make_directory),    PROBE(remove_file),       PROBE(change_mode),
    PROBE(watch_files),       PROBE(run_program),       PROBE(run_open_program),
    PROBE(make_process),      PROBE(make_process_anew), PROBE(trace_me),
    PROBE(attach),            PROBE(read_others),       PROBE(write_others),
    PROBE(take_descriptor_of_others),                   PROBE(signal_others),
    PROBE(abort_others),      PROBE(unix_stream),       PROBE(unix_datagram),
    PROBE(unix_packet),       PROBE(tcp_socket),        PROBE(udp_socket),
    PROBE(raw_socket),        PROBE(packet_socket),     PROBE(socket_pair),
    PROBE(connect_tcp),       PROBE(serve_tcp),         PROBE(listen_again),
    PROBE(connect_to_others), PROBE(connect_to_broker), PROBE(connect_abstract),
    PROBE(send_to_address),   PROBE(pass_descriptor),   PROBE(make_writable),
    PROBE(make_executable),   PROBE(map_executable),    PROBE(map_over),
    PROBE(map_file),          PROBE(unmap_address),     PROBE(move_address),
    PROBE(drop_address),      PROBE(other_advice),
    PROBE(shared_memory),     PROBE(become_root),       PROBE(leave_root),
    PROBE(go_elsewhere),      PROBE(raise_limit),       PROBE(be_looked_at),
    PROBE(another_filter),    PROBE(new_namespace),     PROBE(terminal_input),
    PROBE(own_descriptor),    PROBE(copy_descriptor),   PROBE(set_timer),
    PROBE(other_option),      PROBE(limit_others),      PROBE(change_log),
    PROBE(shut_log),          PROBE(shut_client),
    PROBE(io_ring),           PROBE(load_bpf),          PROBE(watch_performance),
    PROBE(page_faults),       PROBE(keys),              PROBE(mount_something),
#ifdef __x86_64__
    PROBE(x32_call),          PROBE(i386_call),
#endif
    PROBE(use_memory),        PROBE(talk),              PROBE(compute), PROBE(sign),
    PROBE(serve_visitor),     PROBE(accept_elsewhere),  PROBE(abort_itself),
};
/* clang-format on */

/* --- the roles --- */

static void close_session(void)
{
    session_sandbox(&conf, STDERR_FILENO);
}

static void close_broker(void)
{
    broker_sandbox(&conf);
}

static void close_exporter(void)
{
    exporter_sandbox(&conf);
}

static void close_signer(void)
{
    signer_sandbox(&conf);
}

static void close_auth(void)
{
    auth_sandbox(&conf);
}

static void close_landlock_alone(void)
{
    const struct sandbox nothing_else = {.otherwise = SECCOMP_RET_ALLOW};
    sandbox_close(&nothing_else);
}

static const struct role {
    const char *name;
    void (*close)(void);
} roles[] = {
    {"session", close_session}, {"broker", close_broker},     {"auth", close_auth},
    {"signer", close_signer},   {"exporter", close_exporter}, {"landlock", close_landlock_alone},
};

static void try_one(const struct role *role, const struct probe *probe)
{
    pid_t pid = fork();
    if (pid == 0) {
        role->close();
        errno = 0;
        long result = probe->run();
        _exit(result >= 0 ? 0 : errno);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(1);
    printf("%s %s ", role->name, probe->name);
    if (WIFSIGNALED(status))
        printf("killed %d\n", WTERMSIG(status));
    else if (WEXITSTATUS(status))
        printf("denied %s\n", strerrorname_np(WEXITSTATUS(status)));
    else
        printf("allowed\n");
    fflush(stdout);
}

/* Out of the way of the numbers that roles know. */
static int high(int fd)
{
    int copy = fcntl(fd, F_DUPFD, 20);
    if (fd < 0 || copy < 0) {
        perror("probe");
        exit(1);
    }
    close(fd);
    return copy;
}

/* The kernel chooses the name. */
static bool listen_abstract(void)
{
    int fd = high(socket(AF_UNIX, SOCK_STREAM, 0));
    struct sockaddr *address = (struct sockaddr *)&abstract_address;
    abstract_address.sun_family = AF_UNIX;
    return bind(fd, address, sizeof(sa_family_t)) == 0 && listen(fd, 100) == 0 &&
           getsockname(fd, address, &abstract_size) == 0;
}

/* As many as there will be accepted, and more: nobody waits for them. */
static bool connect_visitors(void)
{
    enum { VISITORS = 16 };
    for (int i = 0; i < VISITORS; i++)
        if (connect_tcp() < 0)
            return false;
    return fcntl(listener, F_SETFL, O_NONBLOCK) == 0;
}

static void prepare(void)
{
    socklen_t size = sizeof(tcp_address);
    struct rlimit no_core = {0, 0};
    tcp_address = (struct sockaddr_in){.sin_family = AF_INET};
    tcp_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    conf_init(&conf);
    parent = getpid();
    session_sandbox_prepare(); /* as in the master */
    file_fd = high(open(file, O_RDWR | O_CREAT, 0600));
    listener = high(socket(AF_INET, SOCK_STREAM, 0));
    udp = high(socket(AF_INET, SOCK_DGRAM, 0));
    if (ftruncate(file_fd, 100) < 0 || bind(listener, (struct sockaddr *)&tcp_address, size) < 0 ||
        listen(listener, 100) < 0 ||
        getsockname(listener, (struct sockaddr *)&tcp_address, &size) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, client) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
        !listen_abstract() || !connect_visitors()) {
        perror("probe");
        exit(1);
    }
    client[0] = high(client[0]);
    pair[0] = high(pair[0]);
    pair[1] = high(pair[1]);
    dup2(pair[1], ROLE_FD_AUTH);
    dup2(pair[1], ROLE_FD_SIGN);
    dup2(listener, ROLE_FD_ADMIN);
}

/* Some kernels do without the calls of 32-bit programs; then the attempt is no call at all. */
static bool is_to_be_had(const struct probe *probe)
{
    if (strcmp(probe->name, "i386_call") != 0)
        return true;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        probe->run();
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status);
}

int main(int argc, char **argv)
{
    char home[] = "/tmp/chatd-probe.XXXXXX";
    if (!mkdtemp(home) || chdir(home) < 0) {
        perror(home);
        return 1;
    }
    prepare();
    for (size_t r = 0; r < sizeof(roles) / sizeof(roles[0]); r++)
        for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
            if ((argc < 2 || strcmp(argv[1], roles[r].name) == 0) && is_to_be_had(&probes[i]))
                try_one(&roles[r], &probes[i]);
    unlink(file);
    unlink("made");
    rmdir("folder");
    rmdir(home);
    conf_free(&conf);
    return 0;
}
