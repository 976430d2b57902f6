/* The private keys of TLS; see keyring.h. */
#include "keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tls_key.h"

enum { KEY_FILE_MAX = 64 * 1024 };

static struct {
    int fd;      /* -1: none */
    size_t size; /* of the newest key's text, which comes first */
    unsigned char fingerprint[TLS_FINGERPRINT];
} ring = {.fd = -1};

int keyring_fd(void)
{
    return ring.fd;
}

/* Copies n bytes from the start of a file. */
static bool copy(int to, int from, size_t n)
{
    off_t at = 0;
    while ((size_t)at < n)
        if (sendfile(to, from, &at, n - (size_t)at) <= 0)
            return false;
    return true;
}

/* The text of a file of n bytes, a line end, and the text of the key that was the newest till now.
 */
static int make_ring(int file, size_t n)
{
    int fd = memfd_create("chatd.keys", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (copy(fd, file, n) && write(fd, "\n", 1) == 1 &&
        (ring.fd < 0 || copy(fd, ring.fd, ring.size)) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

enum verdict { GOOD, UNREADABLE, OTHER_KEY };

/* Runs in the child. */
static enum verdict judge_key(int fd, size_t size, const unsigned char *fingerprint)
{
    unsigned char found[TLS_FINGERPRINT];
    void *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    BIO *in = text != MAP_FAILED ? BIO_new_mem_buf(text, (int)size) : NULL;
    EVP_PKEY *key = in ? tls_read_key(in) : NULL;
    if (!key || !tls_fingerprint(key, found))
        return UNREADABLE;
    return memcmp(found, fingerprint, sizeof(found)) == 0 ? GOOD : OTHER_KEY;
}

/* A child looks at the key, so that nothing of it stays in this process. */
static enum verdict ask_child(int fd, size_t size, const unsigned char *fingerprint)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_DUMPABLE, 0);
        _exit((int)judge_key(fd, size, fingerprint));
    }
    int status;
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return UNREADABLE;
    return pid > 0 && WIFEXITED(status) ? (enum verdict)WEXITSTATUS(status) : UNREADABLE;
}

static void fault(const struct conf *conf, enum verdict verdict, struct conf_error *e)
{
    if (verdict == OTHER_KEY)
        conf_fault(conf, CONF_K_tls_key_file, e,
                   "%.150s is not the key of the certificate in %.150s; name the two files "
                   "that belong together",
                   conf->tls_key_file, conf->tls_certificate_file);
    else
        conf_fault(conf, CONF_K_tls_key_file, e,
                   "%.150s holds no private key that can be read; it must be PEM, without a "
                   "passphrase: openssl pkey -in %.150s -out NEW",
                   conf->tls_key_file, conf->tls_key_file);
}

/* Takes the ring for the new one; fingerprint: of its newest key. */
static void take_key(int fd, size_t size, const unsigned char *fingerprint)
{
    if (ring.fd >= 0)
        close(ring.fd);
    ring.fd = fd;
    ring.size = size;
    memcpy(ring.fingerprint, fingerprint, TLS_FINGERPRINT);
}

bool keyring_load(const struct conf *conf, const unsigned char *fingerprint, struct conf_error *e)
{
    int file = conf_open(conf, CONF_K_tls_key_file, conf->tls_key_file, true, e);
    if (file < 0)
        return false;
    struct stat st;
    errno = EFBIG; /* unless a call below fails otherwise */
    int fd = fstat(file, &st) == 0 && st.st_size <= KEY_FILE_MAX
                 ? make_ring(file, (size_t)st.st_size)
                 : -1;
    close(file);
    if (fd < 0) {
        conf_fault(conf, CONF_K_tls_key_file, e, "%.200s: %s", conf->tls_key_file, strerror(errno));
        return false;
    }
    size_t size = (size_t)st.st_size + 1;
    enum verdict verdict = ask_child(fd, size, fingerprint);
    if (verdict == GOOD && memcmp(ring.fingerprint, fingerprint, TLS_FINGERPRINT) != 0) {
        take_key(fd, size, fingerprint);
        return true;
    }
    close(fd);
    if (verdict != GOOD)
        fault(conf, verdict, e);
    return verdict == GOOD;
}
