/* What the test programs share: one line a result, always the same from run to run, and addresses on loopback.
 *
 * A line says what was called, what it returned and, where it failed, the name of errno. Ports, descriptors and process
 * ids never appear, so that the output of two runs can be compared byte by byte.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static __attribute__((unused)) const char *error_name(int number) {
    static __thread char text[16];
    const char *name = strerrorname_np(number);
    if (name) return name;
    snprintf(text, sizeof text, "errno %d", number);
    return text;
}

/* "what: 0" or "what: -1 ECONNREFUSED"; the value comes back. */
static __attribute__((unused)) long result(const char *what, long value) {
    int number = errno;
    if (value < 0) printf("%s: %ld %s\n", what, value, error_name(number));
    else printf("%s: %ld\n", what, value);
    fflush(stdout);
    errno = number;
    return value;
}

/* For calls that return a descriptor: "what: ok", since numbers are nobody's business. */
static __attribute__((unused)) int descriptor(const char *what, int value) {
    int number = errno;
    if (value < 0) printf("%s: %d %s\n", what, value, error_name(number));
    else printf("%s: ok%s%s\n", what, fcntl(value, F_GETFD) & FD_CLOEXEC ? " cloexec" : "",
                fcntl(value, F_GETFL) & O_NONBLOCK ? " nonblock" : "");
    fflush(stdout);
    return value;
}

static __attribute__((unused)) void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* What cannot happen in a sound test: an error of the test's own, not a result. */
static __attribute__((unused)) void need(int sound, const char *what) {
    if (sound) return;
    fprintf(stderr, "test program: %s: %s\n", what, error_name(errno));
    exit(99);
}

static __attribute__((unused)) struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static __attribute__((unused)) struct sockaddr_in6 loopback6(int port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return address;
}

static __attribute__((unused)) int port_of(int s) {
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    need(!getsockname(s, (void *)&name, &length), "getsockname");
    return ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                            : ((struct sockaddr_in *)&name)->sin_port);
}

static __attribute__((unused)) int stream(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    need(s >= 0, "socket");
    return s;
}

/* A listener on a free port of loopback. */
static __attribute__((unused)) int listener(int backlog) {
    int s = stream();
    struct sockaddr_in address = loopback(0);
    need(!bind(s, (void *)&address, sizeof address), "bind");
    need(!listen(s, backlog), "listen");
    return s;
}

/* A port of loopback on which nobody listens: bound, and kept bound. */
static __attribute__((unused)) int deaf_port(void) {
    int s = stream();
    struct sockaddr_in address = loopback(0);
    need(!bind(s, (void *)&address, sizeof address), "bind");
    return port_of(s);
}

static __attribute__((unused)) int connect_to(int s, int port) {
    struct sockaddr_in address = loopback(port);
    return connect(s, (void *)&address, sizeof address);
}

static __attribute__((unused)) int connected_to(int port) {
    int s = stream();
    need(!connect_to(s, port), "connect");
    return s;
}

/* "what: 127.0.0.1, 16 bytes"; with the port where it is `port`. */
static __attribute__((unused)) void show_address(const char *what, const struct sockaddr_storage *address, socklen_t length,
                                                 int port) {
    char text[INET6_ADDRSTRLEN] = "?";
    int found = -1;
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        found = ntohs(in->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;
        inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
        found = ntohs(in->sin6_port);
    }
    say("%s: family %d, %s, %u bytes, port %s", what, address->ss_family, text, length,
        found == port ? "as expected" : found ? "another" : "0");
}

static __attribute__((unused)) int so_error(int s) {
    int value = -1;
    socklen_t length = sizeof value;
    if (getsockopt(s, SOL_SOCKET, SO_ERROR, &value, &length)) return -1;
    return value;
}

static __attribute__((unused)) void show_so_error(const char *what, int s) {
    int value = so_error(s);
    say("%s: %s", what, value == 0 ? "0" : value < 0 ? error_name(errno) : error_name(value));
}

/* Three bytes, as soon as they are there: through a relay they take a moment, which a socket that never waits must give. */
static __attribute__((unused)) long read_three(int s, char *bytes) {
    struct pollfd ready = {.fd = s, .events = POLLIN};
    poll(&ready, 1, 5000);
    return read(s, bytes, 3);
}

/* The connection works: three bytes there and three back. */
static __attribute__((unused)) void show_exchange(const char *what, int client, int server) {
    char there[4] = "", back[4] = "";
    long a = write(client, "abc", 3), b = read_three(server, there), c = write(server, "xyz", 3);
    long d = read_three(client, back);
    say("%s: %ld %ld %s, %ld %ld %s", what, a, b, there, c, d, back);
}

static __attribute__((unused)) double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static __attribute__((unused)) void nap(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    while (nanosleep(&time, &time) && errno == EINTR) {}
}

/* Whether a thread of ours sleeps in a system call of this number: "held", without asking anybody who holds it. */
static __attribute__((unused)) int thread_is_in(pid_t process, pid_t thread, long number) {
    char path[64], text[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", process, thread);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    long count = read(file, text, sizeof text - 1);
    close(file);
    return count > 0 && text[0] != 'r' && atol(text) == number;
}

static __attribute__((unused)) void wait_until_in(pid_t process, pid_t thread, long number) {
    for (int i = 0; i < 5000; i++) {
        if (thread_is_in(process, thread, number)) return;
        nap(0.002);
    }
    need(0, "a thread never came to its system call");
}

/* A call of ours comes back: from now on a call finds somebody awake, who has received what was called before. */
static __attribute__((unused)) void await_turn(void) {
    int l = listener(5), s = connected_to(port_of(l));
    close(s);
    close(l);
}

static __attribute__((unused)) pid_t thread_id(void) { return syscall(SYS_gettid); }
