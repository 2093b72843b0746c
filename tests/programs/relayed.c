/* What a program sees of connections that may go through a relay: both ends are its own. First argument: the case. */
#include "results.h"
#include <sys/ioctl.h>
#include <sys/select.h>

static int hole; /* a listener whose queue is full: what comes is dropped, and sent again after a second */
static int fillers[4];

static int make_hole(void) {
    hole = listener(0);
    for (int i = 0; i < COUNT(fillers); i++) {
        fillers[i] = stream();
        fcntl(fillers[i], F_SETFL, O_NONBLOCK);
        connect_to(fillers[i], port_of(hole));
    }
    nap(0.05);
    return port_of(hole);
}

static void make_room(void) {
    for (int i = 0; i < COUNT(fillers); i++) close(fillers[i]);
    fcntl(hole, F_SETFL, O_NONBLOCK);
    for (int a; (a = accept(hole, NULL, NULL)) >= 0;) close(a);
}

static const char *events(unsigned found) {
    static char text[80];
    static const struct { unsigned bit; const char *name; } names[] = {
        {EPOLLIN, "in "}, {EPOLLOUT, "out "}, {EPOLLERR, "err "}, {EPOLLHUP, "hup "}, {EPOLLRDHUP, "rdhup "}, {EPOLLPRI, "pri "},
    };
    *text = 0;
    for (int i = 0; i < COUNT(names); i++) if (found & names[i].bit) strcat(text, names[i].name);
    return *text ? text : "nothing";
}

static unsigned polled(int s) {
    struct pollfd ready = {.fd = s, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};
    poll(&ready, 1, 0);
    return ready.revents;
}

static int epoll_on(int s, unsigned more) {
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | more};
    need(!epoll_ctl(set, EPOLL_CTL_ADD, s, &event), "epoll_ctl");
    return set;
}

static void show_events(const char *what, int set, int timeout) {
    struct epoll_event found = {0};
    int count = epoll_wait(set, &found, 1, timeout);
    say("%s: %d, %s", what, count, events(found.events));
}

static void show_select(int s) {
    fd_set read, write, except;
    struct timeval now = {0};
    FD_ZERO(&read);
    FD_ZERO(&write);
    FD_ZERO(&except);
    FD_SET(s, &read);
    FD_SET(s, &write);
    FD_SET(s, &except);
    select(s + 1, &read, &write, &except, &now);
    say("select: %d %d %d", !!FD_ISSET(s, &read), !!FD_ISSET(s, &write), !!FD_ISSET(s, &except));
}

static int tcp_state(int s) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    need(!getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &length), "TCP_INFO");
    return info.tcpi_state;
}

static void show_names(const char *what, int s, int port) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    char text[80];
    if (result(what, getpeername(s, (void *)&name, &length)) == 0) show_address("  peer", &name, length, port);
    length = sizeof name;
    need(!getsockname(s, (void *)&name, &length), "getsockname");
    snprintf(text, sizeof text, "  own");
    show_address(text, &name, length, -2);
}

static int same_name(int (*one)(int, struct sockaddr *, socklen_t *), int a, int (*other)(int, struct sockaddr *, socklen_t *), int b) {
    struct sockaddr_storage first = {0}, second = {0};
    socklen_t length = sizeof first, longer = sizeof second;
    need(!one(a, (void *)&first, &length) && !other(b, (void *)&second, &longer), "names");
    return length == longer && !memcmp(&first, &second, length);
}

/* --- a connect that does not wait, seen in every way there is --- */

static int observe(int *edge, int *level, int before) {
    int port = make_hole(), s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (before) *edge = epoll_on(s, EPOLLET), *level = epoll_on(s, 0), show_events("a fresh socket", *edge, 0);
    result("connect", connect_to(s, port));
    if (!before) *edge = epoll_on(s, EPOLLET), *level = epoll_on(s, 0);
    say("pending: %s, state %d", events(polled(s)), tcp_state(s));
    show_events("edge", *edge, 30);
    show_events("level", *level, 0);
    show_select(s);
    show_names("getpeername", s, port);
    char byte;
    result("recv", recv(s, &byte, 1, 0));
    result("send nothing", send(s, "x", 0, 0));
    result("shutdown of reading is not for this test; getsockopt", so_error(s));
    result("connect again", connect_to(s, port));
    return s;
}

static void show_outcome(int s, int edge, int level) {
    show_events("edge", edge, 8000);
    show_events("level", level, 0);
    say("poll: %s", events(polled(s)));
    show_select(s);
    show_so_error("SO_ERROR", s);
    show_so_error("again", s);
    say("poll: %s", events(polled(s)));
    show_events("no further edge", edge, 50);
    show_names("getpeername", s, port_of(s));
}

static void observed(int before) {
    int edge, level, s = observe(&edge, &level, before), port = port_of(hole);
    make_room();
    show_outcome(s, edge, level);
    say("state %d", tcp_state(s));
    fcntl(hole, F_SETFL, 0);
    int a = accept(hole, NULL, NULL);
    say("the same names: %d %d", same_name(getsockname, s, getpeername, a), same_name(getpeername, s, getsockname, a));
    show_exchange("bytes", s, a);
    say("poll: %s", events(polled(s)));
    close(a);
    struct epoll_event found = {0};
    while (!(found.events & EPOLLRDHUP) && epoll_wait(edge, &found, 1, 5000) == 1) {}
    say("its end: %s", events(found.events));
    result("connect", connect_to(s, port));
    result("connect", connect_to(s, port));
}

static void observed_late(void) { observed(0); }
static void observed_early(void) { observed(1); }

static void observed_failure(void) {
    int edge, level, s = observe(&edge, &level, 1), l = listener(5);
    close(hole);
    show_outcome(s, edge, level);
    result("connect tells that it was told", connect_to(s, port_of(l)));
    result("connect", connect_to(s, port_of(l)));
    show_events("edge", edge, 2000);
    show_exchange("bytes", s, accept(l, NULL, NULL));
}

/* --- names --- */

static void names(int domain, const struct sockaddr *at, socklen_t size, const struct sockaddr *from, socklen_t from_size) {
    int l = socket(domain, SOCK_STREAM, 0), zero = 0;
    if (domain == AF_INET6) setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    need(l >= 0 && !bind(l, at, size) && !listen(l, 5), "a listener");
    struct sockaddr_storage to = {0}, name = {0};
    memcpy(&to, from, from_size);
    if (to.ss_family == AF_INET) ((struct sockaddr_in *)&to)->sin_port = htons(port_of(l));
    else ((struct sockaddr_in6 *)&to)->sin6_port = htons(port_of(l));
    int s = socket(to.ss_family, SOCK_STREAM, 0);
    show_names("fresh", s, 0);
    result("connect", connect(s, (void *)&to, from_size));
    socklen_t length = sizeof name;
    int a = descriptor("accept", accept(l, (void *)&name, &length));
    show_address("its peer", &name, length, port_of(s));
    show_names("connected", s, port_of(l));
    show_names("accepted", a, port_of(s));
    say("the same names: %d %d", same_name(getsockname, s, getpeername, a), same_name(getpeername, s, getsockname, a));
    length = 6, memset(&name, 0, sizeof name);
    result("into six bytes", getpeername(s, (void *)&name, &length));
    say("%u bytes, family %d, port %d", length, name.ss_family, ntohs(((struct sockaddr_in *)&name)->sin_port) == port_of(l));
    show_exchange("bytes", s, a);
}

static void names4(void) {
    struct sockaddr_in address = loopback(0);
    names(AF_INET, (void *)&address, sizeof address, (void *)&address, sizeof address);
}

static void names6(void) {
    struct sockaddr_in6 address = loopback6(0);
    names(AF_INET6, (void *)&address, sizeof address, (void *)&address, sizeof address);
}

static void names_mapped(void) {
    struct sockaddr_in6 any = {.sin6_family = AF_INET6}, mapped = any;
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    names(AF_INET6, (void *)&any, sizeof any, (void *)&mapped, sizeof mapped);
}

static void names_both(void) {
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    struct sockaddr_in address = loopback(0);
    names(AF_INET6, (void *)&any, sizeof any, (void *)&address, sizeof address);
}

/* --- a bound source --- */

static void show_reuse(int s) {
    int value = -1;
    socklen_t length = sizeof value;
    need(!getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &value, &length), "SO_REUSEADDR");
    say("SO_REUSEADDR: %d", value);
}

static int bound_to(const char *host, int port) {
    int s = stream();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    result("bind", bind(s, (void *)&address, sizeof address));
    return s;
}

static void bound_connect(int s, int l) {
    int port = port_of(s);
    result("connect", connect_to(s, port_of(l)));
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    int a = accept(l, (void *)&name, &length);
    show_address("from", &name, length, port);
    show_names("connected", s, port_of(l));
    show_reuse(s);
    show_exchange("bytes", s, a);
    close(s), close(a);
}

static void bound(void) {
    int l = listener(5), other = listener(5);
    bound_connect(bound_to("127.0.0.1", 0), l);
    bound_connect(bound_to("127.0.0.9", 0), l);
    bound_connect(bound_to("0.0.0.0", 0), l);
    int probe = bound_to("127.0.0.1", 0), port = port_of(probe);
    close(probe);
    int s = bound_to("127.0.0.1", port);
    result("refused", connect_to(s, deaf_port()));
    say("the port is kept: %d", port_of(s) == port);
    bound_connect(s, other);
    s = stream();
    result("unbound, refused", connect_to(s, deaf_port()));
    int first = port_of(s);
    result("connect", connect_to(s, port_of(l)));
    say("another port: %d", port_of(s) != first);
    close(accept(l, NULL, NULL));
    int on = 1;
    s = stream();
    need(!setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    struct sockaddr_in address = loopback(0);
    need(!bind(s, (void *)&address, sizeof address), "bind");
    bound_connect(s, l);
}

static void bound_without_port(void) {
    int l = listener(5), s = stream(), on = 1;
    need(!setsockopt(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "IP_BIND_ADDRESS_NO_PORT");
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, "127.0.0.7", &address.sin_addr);
    need(!bind(s, (void *)&address, sizeof address), "bind");
    show_names("bound", s, 0);
    result("connect", connect_to(s, port_of(l)));
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    int a = accept(l, (void *)&name, &length);
    show_address("from", &name, length, port_of(s));
    show_exchange("bytes", s, a);
}

/* --- options --- */

static const struct { const char *name; int level, number, value; } OPTIONS[] = {
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1}, {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, 40000},
    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, 30000}, {"SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, 3},
    {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, 1}, {"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, 1},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1}, {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 77},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 7}, {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 5},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 9000}, {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 4},
    {"IP_TOS", IPPROTO_IP, IP_TOS, 0x10}, {"IP_TTL", IPPROTO_IP, IP_TTL, 33},
};

static void set_options(int s) {
    for (int i = 0; i < COUNT(OPTIONS); i++) {
        int value = OPTIONS[i].value;
        result(OPTIONS[i].name, setsockopt(s, OPTIONS[i].level, OPTIONS[i].number, &value, sizeof value));
    }
    struct linger slow = {1, 3};
    struct timeval limit = {9, 0};
    need(!setsockopt(s, SOL_SOCKET, SO_LINGER, &slow, sizeof slow), "SO_LINGER");
    need(!setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
}

static void show_options(const char *what, int s) {
    say("%s", what);
    for (int i = 0; i < COUNT(OPTIONS); i++) {
        int value = -1;
        socklen_t length = sizeof value;
        int status = getsockopt(s, OPTIONS[i].level, OPTIONS[i].number, &value, &length);
        say("  %s: %d %d, %u bytes", OPTIONS[i].name, status, value, length);
    }
    struct linger slow;
    struct timeval limit;
    socklen_t length = sizeof slow;
    need(!getsockopt(s, SOL_SOCKET, SO_LINGER, &slow, &length), "SO_LINGER");
    length = sizeof limit;
    need(!getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, &length), "SO_RCVTIMEO");
    say("  SO_LINGER: %d %d, SO_RCVTIMEO: %d", slow.l_onoff, slow.l_linger, (int)limit.tv_sec);
}

static void options(void) {
    int l = listener(5), s = stream(), plain = stream();
    set_options(s);
    result("connect", connect_to(s, port_of(l)));
    int a = accept(l, NULL, NULL);
    show_options("set before", s);
    show_exchange("bytes", s, a);
    result("connect", connect_to(plain, port_of(l)));
    close(a), a = accept(l, NULL, NULL);
    set_options(plain);
    show_options("set after", plain);
    show_exchange("bytes", plain, a);
    set_options(a);
    show_options("set on the accepted one", a);
    show_exchange("bytes", a, plain);
}

static void inherited(void) {
    int l = stream();
    struct sockaddr_in address = loopback(0);
    set_options(l);
    need(!bind(l, (void *)&address, sizeof address) && !listen(l, 5), "a listener");
    int s = connected_to(port_of(l)), a = accept(l, NULL, NULL);
    show_options("inherited", a);
    show_exchange("bytes", s, a);
}

/* --- ends --- */

static void pair(int *s, int *a) {
    int l = listener(5);
    *s = connected_to(port_of(l));
    *a = accept(l, NULL, NULL);
    close(l);
}

static void show_read(const char *what, int s) {
    char bytes[16] = "";
    long count = read(s, bytes, 15);
    if (count < 0) result(what, count);
    else say("%s: %ld %s", what, count, bytes);
}

static void reset(void) {
    int s, a;
    struct linger now = {1, 0};
    struct pollfd ready;
    for (int side = 0; side < 2; side++) {
        pair(&s, &a);
        int closing = side ? a : s, other = side ? s : a, edge = epoll_on(other, EPOLLET);
        show_events("connected", edge, 0);
        need(!setsockopt(closing, SOL_SOCKET, SO_LINGER, &now, sizeof now), "SO_LINGER");
        close(closing);
        ready = (struct pollfd){.fd = other, .events = POLLIN};
        poll(&ready, 1, 5000);
        say("poll: %s", events(polled(other)));
        show_read("read", other);
        show_read("again", other);
        show_so_error("SO_ERROR", other);
        show_names("getpeername", other, 0);
        close(other);
    }
}

static void unread(void) {
    int s, a;
    pair(&s, &a);
    need(write(a, "unread", 6) == 6, "write");
    struct pollfd ready = {.fd = s, .events = POLLIN};
    poll(&ready, 1, 5000);
    close(s);
    ready = (struct pollfd){.fd = a, .events = POLLIN};
    poll(&ready, 1, 5000);
    show_read("the peer left bytes unread", a);
}

/* Until so much has come: poll would tell of the end as well. */
static void await_bytes(int s, int wanted) {
    for (int count = 0, i = 0; i < 2500 && !ioctl(s, FIONREAD, &count) && count < wanted; i++) nap(0.002);
}

static void halves(void) {
    int s, a;
    pair(&s, &a);
    need(write(s, "question", 8) == 8, "write");
    result("shutdown", shutdown(s, SHUT_WR));
    show_read("the other side", a);
    show_read("and its end", a);
    need(write(a, "answer", 6) == 6, "write");
    show_read("the answer", s);
    result("shutdown again", shutdown(s, SHUT_WR));
    result("write after it", send(s, "x", 1, MSG_NOSIGNAL));
    close(a);
    show_read("the end", s);
    result("shutdown of both", shutdown(s, SHUT_RDWR));
    pair(&s, &a);
    need(write(a, "abc", 3) == 3, "write");
    await_bytes(s, 3);
    result("shutdown of reading", shutdown(s, SHUT_RD));
    show_read("what had come", s);
    show_read("the end", s);
    need(write(a, "more", 4) == 4, "write");
    await_bytes(s, 4);
    show_read("what came after it", s);
}

/* --- changes of mind --- */

static void again(void) {
    int l = listener(5), other = listener(5), s = stream();
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    result("connect", connect_to(s, port_of(l)));
    result("connect", connect_to(s, port_of(l)));
    int a = accept(l, NULL, NULL);
    result("to nobody", connect(s, &nobody, sizeof nobody));
    show_read("the peer", a);
    show_names("getpeername", s, 0);
    result("elsewhere", connect_to(s, port_of(other)));
    close(a), a = accept(other, NULL, NULL);
    show_names("getpeername", s, port_of(other));
    show_exchange("bytes", s, a);
    close(a);
    show_read("its end", s);
    result("connect", connect_to(s, port_of(l)));
    result("listen", listen(s, 5));
    result("a listener connects", connect_to(l, port_of(other)));
}

static void mode_changes(void) {
    int port = make_hole(), s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct timeval limit = {0, 200000};
    result("connect", connect_to(s, port));
    fcntl(s, F_SETFL, 0);
    need(!setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "SO_SNDTIMEO");
    result("connect, waiting for a while", connect_to(s, port));
    limit = (struct timeval){8, 0};
    need(!setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "SO_SNDTIMEO");
    make_room();
    result("connect, waiting", connect_to(s, port));
    result("connect", connect_to(s, port));
    fcntl(hole, F_SETFL, 0);
    show_exchange("bytes", s, accept(hole, NULL, NULL));
}

static void unanswered(void) {
    int port = make_hole(), s = stream(), limit = 500, quick = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    need(!setsockopt(s, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit), "TCP_USER_TIMEOUT");
    need(!setsockopt(quick, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit), "TCP_USER_TIMEOUT");
    int edge = epoll_on(quick, EPOLLET);
    show_events("fresh", edge, 0);
    result("connect", connect_to(quick, port));
    result("connect, waiting", connect_to(s, port));
    show_events("edge", edge, 5000);
    show_so_error("SO_ERROR", quick);
    say("poll: %s", events(polled(s)));
    int l = listener(5);
    result("connect", connect_to(s, port_of(l)));
}

static void unreachable(void) {
    struct sockaddr_in away = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 far = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    inet_pton(AF_INET, "224.0.0.1", &away.sin_addr);
    inet_pton(AF_INET6, "ff02::1", &far.sin6_addr);
    int s = stream(), quick = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), six = socket(AF_INET6, SOCK_STREAM, 0);
    result("connect", connect(s, (void *)&away, sizeof away));
    say("poll: %s", events(polled(s)));
    result("not waiting", connect(quick, (void *)&away, sizeof away));
    show_so_error("SO_ERROR", quick);
    show_names("getpeername", quick, 0);
    result("IPv6", connect(six, (void *)&far, sizeof far));
    int l = listener(5);
    result("the same socket", connect_to(s, port_of(l)));
    show_exchange("bytes", s, accept(l, NULL, NULL));
}

/* Many threads, each with connections of its own, both ways; every byte is checked. */
enum { CROWD = 8, ROUNDS = 20, SIZE = 100000 };
static int crowd_port, good;

static int fill(char *bytes, int size, int seed) {
    for (int i = 0; i < size; i++) bytes[i] = (char)(seed + i * 7 + i / 251);
    return size;
}

static int full_read(int s, char *bytes, int size) {
    int count = 0;
    for (long n; count < size && (n = read(s, bytes + count, size - count)) > 0;) count += n;
    return count;
}

static int full_write(int s, const char *bytes, int size) {
    int count = 0;
    for (long n; count < size && (n = write(s, bytes + count, size - count)) > 0;) count += n;
    return count;
}

static void *answer_all(void *listening) {
    int l = (int)(long)listening;
    static __thread char bytes[SIZE];
    for (int s; (s = accept(l, NULL, NULL)) >= 0; close(s)) {
        int size = full_read(s, bytes, SIZE);
        full_write(s, bytes, size);
    }
    return NULL;
}

static void *ask_all(void *index) {
    static __thread char sent[SIZE], got[SIZE];
    for (int i = 0; i < ROUNDS; i++) {
        int seed = (int)(long)index * ROUNDS + i, size = fill(sent, 1 + seed * 7919 % SIZE, seed), s = connected_to(crowd_port);
        if (full_write(s, sent, size) == size && !shutdown(s, SHUT_WR) && full_read(s, got, SIZE) == size && !memcmp(sent, got, size))
            __sync_fetch_and_add(&good, 1);
        close(s);
    }
    return NULL;
}

static void crowd(void) {
    int l = listener(64);
    pthread_t answering[CROWD], asking[CROWD];
    crowd_port = port_of(l);
    for (long i = 0; i < CROWD; i++) pthread_create(&answering[i], NULL, answer_all, (void *)(long)l);
    for (long i = 0; i < CROWD; i++) pthread_create(&asking[i], NULL, ask_all, (void *)i);
    for (int i = 0; i < CROWD; i++) pthread_join(asking[i], NULL);
    shutdown(l, SHUT_RDWR);
    for (int i = 0; i < CROWD; i++) pthread_join(answering[i], NULL);
    say("good: %d of %d", good, CROWD * ROUNDS);
}

/* A window is agreed upon when a connection is made, by the buffer that there is: no other is ever as fast. */
static void *send_much(void *socket) {
    static char bytes[1 << 20];
    int s = (int)(long)socket;
    full_write(s, bytes, sizeof bytes);
    shutdown(s, SHUT_WR);
    return NULL;
}

static void small_buffer(void) {
    int l = stream(), size = 4096;
    struct sockaddr_in address = loopback(0);
    result("SO_RCVBUF", setsockopt(l, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
    need(!bind(l, (void *)&address, sizeof address) && !listen(l, 5), "a listener");
    int s = connected_to(port_of(l)), a = accept(l, NULL, NULL);
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    need(!getsockopt(a, IPPROTO_TCP, TCP_INFO, &info, &length), "TCP_INFO");
    say("the window is scaled by %d", info.tcpi_rcv_wscale);
    pthread_t sending;
    pthread_create(&sending, NULL, send_much, (void *)(long)s);
    static char bytes[2 << 20];
    say("received: %d", full_read(a, bytes, sizeof bytes));
    pthread_join(sending, NULL);
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"observed_late", observed_late}, {"observed_early", observed_early}, {"observed_failure", observed_failure},
        {"names4", names4}, {"names6", names6}, {"names_mapped", names_mapped}, {"names_both", names_both},
        {"bound", bound}, {"bound_without_port", bound_without_port}, {"options", options}, {"inherited", inherited},
        {"reset", reset}, {"unread", unread}, {"halves", halves}, {"again", again}, {"mode_changes", mode_changes},
        {"unanswered", unanswered}, {"unreachable", unreachable}, {"crowd", crowd},
        {"small_buffer", small_buffer},
    };
    signal(SIGPIPE, SIG_IGN);
    alarm(25);
    for (int i = 0; i < COUNT(cases); i++)
        if (count == 2 && !strcmp(arguments[1], cases[i].name)) return cases[i].run(), 0;
    return 98;
}
