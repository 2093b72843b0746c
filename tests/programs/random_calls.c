/* Performs scripts of calls, one a line, and says what each answered and what can be seen of every socket then.
 *
 * The script comes on stdin. A line is a verb and words; a socket goes by a number that the script gives it, a port by
 * the number of the socket that has it. "sequence NAME" begins anew with nothing open. The first argument, if there is
 * one, is a file with what an earlier run printed: then each step waits until what can be seen is the same as it was
 * there, and where it does not become so, the rest of the sequence is left out. Without one, it waits until the kernel
 * has delivered everything. So nobody waits for a clock, and nothing depends on how fast.
 *
 * A call that would wait for ever is not made ("skipped"), nor some that mean something else to each kernel: the earlier
 * run decides that.
 */
#include "results.h"
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/uio.h>

enum { SLOTS = 64, WORDS = 12, HANG_S = 10, ROOM = 8192 };

static int fds[SLOTS], holders[SLOTS], holding[SLOTS];
static unsigned char owners[65536]; /* of ports: a socket's number and 1 */
static char *words[WORDS];
static int count_of_words, step;
static double late = 10;
static volatile sig_atomic_t pipes;
static FILE *earlier;
static char told[ROOM], seen[ROOM], told_then[ROOM], seen_then[ROOM];
static char *out; /* where `told` is written: shared with children */

static __attribute__((format(printf, 1, 2))) void tell(const char *format, ...) {
    va_list arguments;
    size_t used = strlen(out);
    va_start(arguments, format);
    vsnprintf(out + used, ROOM - used, format, arguments);
    va_end(arguments);
}

static long tell_result(long value) {
    int number = errno;
    if (value < 0) tell("%ld %s", value, error_name(number));
    else tell("%ld", value);
    return value;
}

/* --- words --- */

static const char *word(int i) { return i < count_of_words ? words[i] : "-"; }
static int number(int i) { return atoi(word(i)); }
static int fd_of(int i) { int s = number(i); return s >= 0 && s < SLOTS ? fds[s] : -1; }

static const struct { const char *name; int value; } FLAGS[] = {
    {"peek", MSG_PEEK}, {"dontwait", MSG_DONTWAIT}, {"oob", MSG_OOB}, {"nosignal", MSG_NOSIGNAL}, {"trunc", MSG_TRUNC},
    {"errqueue", MSG_ERRQUEUE}, {"waitall", MSG_WAITALL}, {"dontroute", MSG_DONTROUTE}, {"fastopen", MSG_FASTOPEN},
    {"tcp", SOCK_STREAM}, {"stream", SOCK_STREAM}, {"udp", SOCK_DGRAM}, {"datagram", SOCK_DGRAM},
    {"seqpacket", SOCK_SEQPACKET}, {"nonblock", SOCK_NONBLOCK}, {"cloexec", SOCK_CLOEXEC},
    {"in", EPOLLIN}, {"out", EPOLLOUT}, {"pri", EPOLLPRI}, {"rdhup", EPOLLRDHUP}, {"edge", (int)EPOLLET},
    {"once", EPOLLONESHOT},
};

/* "peek+dontwait", or "-" */
static int flags(int i) {
    int value = 0;
    char text[80];
    snprintf(text, sizeof text, "%s", word(i));
    for (char *rest = text, *name; (name = strsep(&rest, "+"));)
        for (int j = 0; j < COUNT(FLAGS); j++) if (!strcmp(name, FLAGS[j].name)) value |= FLAGS[j].value;
    return value;
}

static const struct { const char *name; int level, number, kind; } OPTIONS[] = {
    {"SO_TYPE", SOL_SOCKET, SO_TYPE, 4}, {"SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, 4}, {"SO_ERROR", SOL_SOCKET, SO_ERROR, 4},
    {"SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, 4}, {"SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, 4},
    {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 4}, {"SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT, 4},
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 4}, {"SO_BROADCAST", SOL_SOCKET, SO_BROADCAST, 4},
    {"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, 4}, {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, 4},
    {"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, 4}, {"SO_LINGER", SOL_SOCKET, SO_LINGER, 8},
    {"SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO, 16}, {"SO_SNDTIMEO", SOL_SOCKET, SO_SNDTIMEO, 16},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 4}, {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 4},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 4}, {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 4},
    {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 4},
    {"IP_TOS", IPPROTO_IP, IP_TOS, 4}, {"IP_TTL", IPPROTO_IP, IP_TTL, 4}, {"IP_RECVTTL", IPPROTO_IP, IP_RECVTTL, 4},
    {"IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, 4}, {"IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, 4},
    {"IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, 4}, {"none", 77, 77, 4},
};

/* --- names --- */

static int own_port(int fd) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    if (fd < 0 || getsockname(fd, (void *)&name, &length)) return 0;
    if (name.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&name)->sin_port);
    return name.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&name)->sin6_port) : 0;
}

static void note(int s) {
    int port = s >= 0 && s < SLOTS ? own_port(fds[s]) : 0;
    if (port && !owners[port]) owners[port] = s + 1;
}

/* HOST SOCKET: an address, and the port of a socket; HOST says which family it is of. */
static socklen_t address(int i, struct sockaddr_storage *name) {
    static const struct { const char *name, *text; } HOSTS[] = {
        {"loopback4", "127.0.0.1"}, {"any4", "0.0.0.0"}, {"foreign4", "192.0.2.1"}, {"broadcast4", "255.255.255.255"},
        {"loopback6", "::1"}, {"any6", "::"}, {"foreign6", "2001:db8::1"}, {"mapped6", "::ffff:127.0.0.1"},
        {"another4", "127.0.0.9"},
    };
    const char *host = word(i);
    in_port_t port = htons(number(i + 1) < 0 ? 0 : own_port(fd_of(i + 1)));
    memset(name, 0, sizeof *name);
    if (!strcmp(host, "nobody")) return sizeof(struct sockaddr_in);
    name->ss_family = host[strlen(host) - 1] == '6' ? AF_INET6 : AF_INET;
    for (int j = 0; j < COUNT(HOSTS); j++) if (!strcmp(host, HOSTS[j].name))
        inet_pton(name->ss_family, HOSTS[j].text, name->ss_family == AF_INET6
                  ? (void *)&((struct sockaddr_in6 *)name)->sin6_addr : (void *)&((struct sockaddr_in *)name)->sin_addr);
    if (name->ss_family == AF_INET6) ((struct sockaddr_in6 *)name)->sin6_port = port;
    else ((struct sockaddr_in *)name)->sin_port = port;
    if (!strcmp(host, "short4")) return 9;
    return name->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void tell_name(const struct sockaddr_storage *name, socklen_t length) {
    char text[INET6_ADDRSTRLEN] = "?";
    int port = 0;
    tell(" %u bytes", length);
    if (length < sizeof(struct sockaddr_in)) return;
    if (name->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)name)->sin_addr, text, sizeof text);
        port = ntohs(((const struct sockaddr_in *)name)->sin_port);
    } else if (name->ss_family == AF_INET6 && length >= 24) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)name)->sin6_addr, text, sizeof text);
        port = ntohs(((const struct sockaddr_in6 *)name)->sin6_port);
    }
    if (!port) tell(" %s no port", text);
    else if (owners[port]) tell(" %s port of %d", text, owners[port] - 1);
    else tell(" %s a port of nobody", text);
}

/* --- what can be seen --- */

static void info_of(int fd, struct tcp_info *info) {
    socklen_t length = sizeof *info;
    memset(info, 0, sizeof *info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length)) info->tcpi_state = 0;
}

static short polled(int fd, short wanted) {
    struct pollfd ready = {.fd = fd, .events = wanted};
    poll(&ready, 1, 0);
    return ready.revents;
}

/* How many bytes can be read; of those behind an urgent byte the kernel speaks only when they are looked at. */
static int readable(int fd, unsigned mask) {
    static char behind[65536];
    int waiting = -1;
    if (ioctl(fd, FIONREAD, &waiting)) return -1;
    if (waiting || !(mask & POLLPRI) || mask & POLLERR) return waiting;
    ssize_t more = recv(fd, behind, sizeof behind, MSG_PEEK | MSG_DONTWAIT);
    return more > 0 ? (int)more : 0;
}

static void look(void) {
    struct tcp_info info;
    char *at = seen, *end = seen + sizeof seen;
    *seen = 0;
    for (int s = 0; s < SLOTS && end - at > 80; s++) {
        int waiting;
        if (fds[s] < 0) continue;
        at += snprintf(at, end - at, " %d:", s);
        unsigned mask = (unsigned short)polled(fds[s], POLLIN | POLLOUT | POLLPRI | POLLRDHUP);
        static const struct { unsigned bit; char letter; } BITS[] = {
            {POLLIN, 'i'}, {POLLOUT, 'o'}, {POLLPRI, 'p'}, {POLLRDHUP, 'r'}, {POLLERR, 'e'}, {POLLHUP, 'h'}, {POLLNVAL, 'n'},
        };
        for (int i = 0; i < COUNT(BITS); i++) if (mask & BITS[i].bit) *at++ = BITS[i].letter;
        info_of(fds[s], &info);
        if (info.tcpi_state == TCP_LISTEN) at += snprintf(at, end - at, "q%u", info.tcpi_unacked);
        else if ((waiting = readable(fds[s], mask)) >= 0) at += snprintf(at, end - at, "%d", waiting);
    }
    *at = 0;
}

/* Whether the kernel has delivered all that was sent from here. */
static int delivered(void) {
    struct tcp_info info;
    for (int s = 0; s < SLOTS; s++) {
        int left = 0;
        if (fds[s] < 0) continue;
        info_of(fds[s], &info);
        if (info.tcpi_state == TCP_SYN_SENT) return 0;
        if (!info.tcpi_state || info.tcpi_state == TCP_CLOSE || info.tcpi_state == TCP_LISTEN) continue;
        if (!ioctl(fds[s], TIOCOUTQ, &left) && left) return 0;
    }
    return 1;
}

static void settle(void) {
    double until = now() + late;
    char before[ROOM] = "";
    for (look();; look()) {
        if (earlier ? !strcmp(seen, seen_then) : delivered() && !strcmp(seen, before)) return;
        if (now() > until) return;
        memcpy(before, seen, sizeof seen);
        nap(earlier ? 0.0005 : 0.0001);
    }
}

/* --- calls --- */

static char bytes[65536];

static void fill(long size) { for (long i = 0; i < size; i++) bytes[i] = (char)(step * 31 + i * 7); }

static void tell_bytes(long count) {
    unsigned sum = 2166136261u;
    for (long i = 0; i < count; i++) sum = (sum ^ (unsigned char)bytes[i]) * 16777619u;
    if (count > 0) tell(" %08x", sum);
}

/* A descriptor that a call made becomes the socket of that number. */
static void keep(int s, int fd) {
    int error = errno;
    if (fd < 0) tell("%d %s", fd, error_name(error));
    else tell("made%s%s", fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "", fcntl(fd, F_GETFL) & O_NONBLOCK ? " nonblock" : "");
    if (fd >= 0 && s >= 0 && s < SLOTS) fds[s] = fd;
}

static void do_socket(void) {
    static const struct { const char *name; int value; } FAMILIES[] = {{"4", AF_INET}, {"6", AF_INET6}, {"unix", AF_UNIX}, {"odd", 200}};
    int family = 0;
    for (int i = 0; i < COUNT(FAMILIES); i++) if (!strcmp(word(2), FAMILIES[i].name)) family = FAMILIES[i].value;
    keep(number(1), socket(family, flags(3), number(4)));
}

static void do_socketpair(void) {
    int two[2] = {-1, -1}, answer = socketpair(AF_UNIX, flags(3), 0, two);
    tell_result(answer);
    if (!answer) fds[number(1)] = two[0], fds[number(2)] = two[1];
}

static void do_bind(void) {
    struct sockaddr_storage name;
    socklen_t length = address(2, &name);
    tell_result(bind(fd_of(1), (void *)&name, length));
}

static void do_connect(void) {
    struct sockaddr_storage name;
    socklen_t length = address(2, &name);
    tell_result(connect(fd_of(1), (void *)&name, length));
}

static void do_listen(void) { tell_result(listen(fd_of(1), number(2))); }

static void tell_accepted(int fd, const struct sockaddr_storage *name, socklen_t length) {
    keep(number(2), fd);
    for (int s = 0; s < SLOTS; s++) note(s);
    if (fd >= 0) tell_name(name, length);
}

static void do_accept(void) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    int fd = accept(fd_of(1), (void *)&name, &length);
    tell_accepted(fd, &name, length);
}

static void do_accept4(void) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    int fd = accept4(fd_of(1), (void *)&name, &length, flags(3));
    tell_accepted(fd, &name, length);
}

static void do_send(void) { fill(number(2)); tell_result(send(fd_of(1), bytes, number(2), flags(3))); }
static void do_write(void) { fill(number(2)); tell_result(write(fd_of(1), bytes, number(2))); }
static void do_recv(void) { tell_bytes(tell_result(recv(fd_of(1), bytes, number(2), flags(3)))); }
static void do_read(void) { tell_bytes(tell_result(read(fd_of(1), bytes, number(2)))); }

static int pieces(struct iovec *vector) {
    int size = number(2), first = size / 3;
    vector[0] = (struct iovec){bytes, first};
    vector[1] = (struct iovec){bytes + first, 0};
    vector[2] = (struct iovec){bytes + first, size - first};
    return 3;
}

static void do_writev(void) {
    struct iovec vector[3];
    fill(number(2));
    tell_result(writev(fd_of(1), vector, pieces(vector)));
}

static void do_readv(void) {
    struct iovec vector[3];
    tell_bytes(tell_result(readv(fd_of(1), vector, pieces(vector))));
}

static void do_sendto(void) {
    struct sockaddr_storage name;
    socklen_t length = address(4, &name);
    fill(number(2));
    tell_result(sendto(fd_of(1), bytes, number(2), flags(3), (void *)&name, length));
}

static void do_recvfrom(void) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    long count = recvfrom(fd_of(1), bytes, number(2), flags(3), (void *)&name, &length);
    tell_bytes(tell_result(count));
    if (count >= 0) tell_name(&name, length);
}

static void do_sendmsg(void) {
    struct sockaddr_storage name;
    struct iovec vector[3];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = pieces(vector)};
    fill(number(2));
    if (count_of_words > 5) message.msg_name = &name, message.msg_namelen = address(4, &name);
    tell_result(sendmsg(fd_of(1), &message, flags(3)));
}

static void do_recvmsg(void) {
    struct sockaddr_storage name = {0};
    struct iovec vector[3];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = pieces(vector), .msg_name = &name, .msg_namelen = sizeof name};
    long count = recvmsg(fd_of(1), &message, flags(3));
    tell_bytes(tell_result(count));
    if (count < 0) return;
    tell(" flags %#x", message.msg_flags);
    tell_name(&name, message.msg_namelen);
}

static void do_shutdown(void) { tell_result(shutdown(fd_of(1), number(2))); }

static void do_close(void) {
    tell_result(close(fd_of(1)));
    fds[number(1)] = -1;
}

static void do_dup(void) { keep(number(2), dup(fd_of(1))); }
static void do_dupfd(void) { keep(number(2), fcntl(fd_of(1), strcmp(word(3), "cloexec") ? F_DUPFD : F_DUPFD_CLOEXEC, 300)); }
static void do_dup2(void) { keep(-1, dup2(fd_of(1), fd_of(2))); }
static void do_dup3(void) { keep(-1, dup3(fd_of(1), fd_of(2), strcmp(word(3), "cloexec") ? 0 : O_CLOEXEC)); }
static void do_mode(void) { tell_result(fcntl(fd_of(1), F_SETFL, strcmp(word(2), "nonblock") ? 0 : O_NONBLOCK)); }

static void do_getfl(void) {
    int value = fcntl(fd_of(1), F_GETFL);
    tell_result(value < 0 ? value : value & (O_NONBLOCK | O_ACCMODE));
}

static void do_name(int (*ask)(int, struct sockaddr *, socklen_t *)) {
    struct sockaddr_storage name = {0};
    socklen_t length = count_of_words > 2 ? (socklen_t)number(2) : sizeof name;
    if (!tell_result(ask(fd_of(1), (void *)&name, &length))) tell_name(&name, length);
}

static void do_getsockname(void) { do_name(getsockname); }
static void do_getpeername(void) { do_name(getpeername); }

static int option(int i) {
    for (int j = 0; j < COUNT(OPTIONS); j++) if (!strcmp(word(i), OPTIONS[j].name)) return j;
    need(0, "an option");
    return 0;
}

static void do_getsockopt(void) {
    int j = option(2), values[4] = {-1, -1, -1, -1};
    socklen_t length = count_of_words > 3 ? (socklen_t)number(3) : (socklen_t)OPTIONS[j].kind;
    if (tell_result(getsockopt(fd_of(1), OPTIONS[j].level, OPTIONS[j].number, values, &length))) return;
    tell(" %u bytes", length);
    for (int i = 0; i < OPTIONS[j].kind / 4; i++) tell(" %d", values[i]);
}

static void do_setsockopt(void) {
    int j = option(2), values[4] = {number(3), number(4), 0, 0};
    tell_result(setsockopt(fd_of(1), OPTIONS[j].level, OPTIONS[j].number, values, count_of_words > 5 ? number(5) : OPTIONS[j].kind));
}

static void do_mark(void) {
    int value = -1;
    if (!tell_result(ioctl(fd_of(1), SIOCATMARK, &value))) tell(" %d", value);
}

static void do_epoll(void) { keep(number(1), epoll_create1(0)); }

static void epoll_change(int how) {
    struct epoll_event event = {.events = (unsigned)flags(3), .data.u32 = (unsigned)number(2)};
    tell_result(epoll_ctl(fd_of(1), how, fd_of(2), &event));
}

static void do_epoll_add(void) { epoll_change(EPOLL_CTL_ADD); }
static void do_epoll_mod(void) { epoll_change(EPOLL_CTL_MOD); }
static void do_epoll_del(void) { epoll_change(EPOLL_CTL_DEL); }

static void do_epoll_wait(void) {
    struct epoll_event events[SLOTS];
    long count = tell_result(epoll_wait(fd_of(1), events, SLOTS, 0));
    for (unsigned s = 0; s < SLOTS; s++)
        for (long i = 0; i < count; i++) if (events[i].data.u32 == s) tell(" %u:%#x", s, events[i].events);
}

static void do_select(void) {
    fd_set sets[3];
    struct timeval none = {0, 0};
    for (int i = 0; i < 3; i++) FD_ZERO(&sets[i]);
    for (int s = 0; s < SLOTS; s++) if (fds[s] >= 0) for (int i = 0; i < 3; i++) FD_SET(fds[s], &sets[i]);
    tell_result(select(FD_SETSIZE, &sets[0], &sets[1], &sets[2], &none));
    for (int s = 0; s < SLOTS; s++) if (fds[s] >= 0)
        tell(" %d:%d%d%d", s, !!FD_ISSET(fds[s], &sets[0]), !!FD_ISSET(fds[s], &sets[1]), !!FD_ISSET(fds[s], &sets[2]));
}

/* A process that has every socket of ours, and does nothing with them until it is released. */
static void do_hold(void) {
    int two[2], s = number(1);
    need(!pipe2(two, O_CLOEXEC), "pipe");
    holders[s] = fork();
    need(holders[s] >= 0, "fork");
    if (!holders[s]) {
        char byte;
        close(two[1]);
        for (int i = 0; i < SLOTS; i++) if (holding[i] >= 0) close(holding[i]); /* or nobody would see their ends */
        _exit(read(two[0], &byte, 1) ? 1 : 0);
    }
    close(two[0]);
    holding[s] = two[1];
    tell("held");
}

static void release(int s) {
    int status = -1;
    if (holding[s] < 0) return;
    close(holding[s]);
    holding[s] = -1;
    need(waitpid(holders[s], &status, 0) == holders[s], "waitpid");
    tell("released %d", status);
}

static void do_release(void) { release(number(1)); }

static void do_nothing(void) {}

static const struct Verb { const char *name; void (*perform)(void); char waits_for; } VERBS[] = {
    {"socket", do_socket, 0}, {"socketpair", do_socketpair, 0}, {"bind", do_bind, 0}, {"listen", do_listen, 0},
    {"connect", do_connect, 'c'}, {"accept", do_accept, 'i'}, {"accept4", do_accept4, 'i'}, {"send", do_send, 'o'},
    {"write", do_write, 'o'}, {"writev", do_writev, 'o'}, {"sendto", do_sendto, 'c'}, {"sendmsg", do_sendmsg, 'o'},
    {"recv", do_recv, 'i'}, {"read", do_read, 'i'}, {"readv", do_readv, 'i'}, {"recvfrom", do_recvfrom, 'i'},
    {"recvmsg", do_recvmsg, 'i'}, {"shutdown", do_shutdown, 's'}, {"close", do_close, 0}, {"dup", do_dup, 0},
    {"dupfd", do_dupfd, 0}, {"dup2", do_dup2, 0}, {"dup3", do_dup3, 0}, {"mode", do_mode, 0}, {"getfl", do_getfl, 0},
    {"getsockname", do_getsockname, 0}, {"getpeername", do_getpeername, 0}, {"getsockopt", do_getsockopt, 0},
    {"setsockopt", do_setsockopt, 0}, {"mark", do_mark, 0}, {"epoll", do_epoll, 0}, {"epoll_add", do_epoll_add, 0},
    {"epoll_mod", do_epoll_mod, 0}, {"epoll_del", do_epoll_del, 0}, {"epoll_wait", do_epoll_wait, 0},
    {"select", do_select, 0}, {"hold", do_hold, 0}, {"release", do_release, 0}, {"nothing", do_nothing, 0},
};

/* --- whether a call would wait for ever --- */

/* Whether a listener's queue is full at this port, so that it answers nobody. */
static int is_full(int port) {
    struct tcp_info info;
    for (int s = 0; s < SLOTS; s++) {
        if (fds[s] < 0) continue;
        info_of(fds[s], &info);
        if (info.tcpi_state == TCP_LISTEN && own_port(fds[s]) == port && info.tcpi_unacked > info.tcpi_sacked) return 1;
    }
    return 0;
}

static int is_local(int fd) {
    int value = 0;
    socklen_t length = sizeof value;
    return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length) && value == AF_UNIX;
}

static int would_wait(const struct Verb *verb) {
    int fd = fd_of(1);
    char way = verb->waits_for;
    if (fd < 0 || !way) return 0;
    if (flags(3) & MSG_OOB && is_local(fd)) return 1; /* a byte that can be read, for which reading waits */
    if (way != 'i' && flags(3) & MSG_OOB && polled(fd, POLLRDHUP) & (POLLRDHUP | POLLHUP | POLLERR)) return 1;
    if (way == 's') { /* which refuses a socket without a connection, and ends a later one where both sides open it at once */
        struct tcp_info info;
        info_of(fd, &info);
        return info.tcpi_state == TCP_CLOSE;
    }
    if (way == 'c') {
        int port = own_port(fd_of(verb->perform == do_connect ? 3 : 5));
        if (is_full(port) || (port && port == own_port(fd))) return 1; /* nor are there sockets connected to themselves */
        if (verb->perform == do_connect) return 0;
        way = 'o';
    }
    if (fcntl(fd, F_GETFL) & O_NONBLOCK || (flags(3) & (MSG_DONTWAIT | MSG_FASTOPEN))) return 0;
    return !polled(fd, way == 'i' ? POLLIN : POLLOUT);
}

/* --- steps --- */

static void *in_thread(void *verb) { ((const struct Verb *)verb)->perform(); return NULL; }

static void in_child(const struct Verb *verb) {
    pid_t child = fork();
    need(child >= 0, "fork");
    if (!child) {
        verb->perform();
        _exit(0);
    }
    int status;
    while (waitpid(child, &status, 0) < 0) need(errno == EINTR, "waitpid");
    if (status) tell(" the child ended with %d", status);
}

static void perform(const char *how, const struct Verb *verb) {
    struct itimerval limit = {.it_value.tv_sec = HANG_S}, none = {0};
    pthread_t thread;
    pipes = 0;
    setitimer(ITIMER_REAL, &limit, NULL);
    if (!strcmp(how, "child")) in_child(verb);
    else if (!strcmp(how, "thread"))
        need(!pthread_create(&thread, NULL, in_thread, (void *)verb) && !pthread_join(thread, NULL), "a thread");
    else verb->perform();
    setitimer(ITIMER_REAL, &none, NULL);
    if (pipes) tell(" SIGPIPE");
}

static void one_step(const char *how) {
    const struct Verb *verb = NULL;
    for (int i = 0; i < COUNT(VERBS); i++) if (!strcmp(word(0), VERBS[i].name)) verb = &VERBS[i];
    need(verb != NULL, "a verb");
    *out = 0;
    if (earlier ? !strcmp(told_then, "skipped") : would_wait(verb)) tell("skipped");
    else perform(how, verb);
    snprintf(told, sizeof told, "%s", out);
    settle();
    if (strcmp(how, "child")) note(number(1)), note(number(2));
    printf("%s\n%s\n", told, seen);
    fflush(stdout);
}

static void begin(void) {
    for (int s = 0; s < SLOTS; s++) {
        release(s);
        if (fds[s] >= 0) close(fds[s]);
        fds[s] = -1;
    }
    memset(owners, 0, sizeof owners);
    step = 0;
}

static void on_pipe(int number) { (void)number; pipes = 1; }

static void on_hang(int number) {
    (void)number;
    if (write(1, "hung\n", 5)) {}
    _exit(3);
}

static int line_of(FILE *file, char *line) {
    if (!fgets(line, ROOM, file)) return *line = 0;
    line[strcspn(line, "\n")] = 0;
    return 1;
}

int main(int count, char **arguments) {
    static char line[ROOM];
    int lost = 0;
    for (int s = 0; s < SLOTS; s++) fds[s] = holding[s] = -1;
    out = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    need(out != MAP_FAILED, "mmap");
    if (count > 1) need((earlier = fopen(arguments[1], "re")) != NULL, "the earlier run");
    if (count > 2) late = atof(arguments[2]);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = on_pipe, .sa_flags = SA_RESTART}, NULL);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_hang}, NULL);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    while (line_of(stdin, line)) {
        char *rest = line, *how = "";
        for (count_of_words = 0; count_of_words < WORDS && (words[count_of_words] = strsep(&rest, " ")); count_of_words++) {}
        if (!strcmp(word(0), "sequence")) {
            begin();
            lost = 0;
            printf("%s %s\n", words[0], words[1]);
            if (earlier) line_of(earlier, told_then);
            continue;
        }
        if (earlier) line_of(earlier, told_then), line_of(earlier, seen_then);
        if (lost) continue;
        if (!strcmp(word(0), "child") || !strcmp(word(0), "thread")) {
            how = words[0];
            memmove(words, words + 1, sizeof *words * (size_t)--count_of_words);
        }
        step++;
        one_step(how);
        lost = earlier && strcmp(seen, seen_then);
    }
    begin();
    return 0;
}
