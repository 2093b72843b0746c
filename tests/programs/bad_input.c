/* Absurd arguments to the socket calls: what does the kernel say? Argument: the group of cases. */
#include "results.h"

static char *read_only;  /* a page that may be read */
static char *nowhere;    /* a page that may not be touched */
static char *page_end;   /* the last byte before it */

static void map_pages(void) {
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(pages != MAP_FAILED, "mmap");
    page_end = pages + 4096;
    nowhere = pages + 4096;
    read_only = pages + 8192;
    need(!mprotect(nowhere, 4096, PROT_NONE) && !mprotect(read_only, 4096, PROT_READ), "mprotect");
}

struct odd { const char *name; int number; };

/* Descriptors that are no unconnected TCP socket. */
static int odd_descriptors(struct odd *odd) {
    int pipes[2], pair[2], n = 0;
    need(!pipe(pipes) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "pipe");
    odd[n++] = (struct odd){"-1", -1};
    odd[n++] = (struct odd){"closed", 9999};
    odd[n++] = (struct odd){"file", open("/dev/null", O_RDWR)};
    odd[n++] = (struct odd){"path", open("/", O_PATH)};
    odd[n++] = (struct odd){"pipe", pipes[0]};
    odd[n++] = (struct odd){"unix socket", pair[0]};
    odd[n++] = (struct odd){"unix datagram", socket(AF_UNIX, SOCK_DGRAM, 0)};
    odd[n++] = (struct odd){"netlink", socket(AF_NETLINK, SOCK_RAW, 0)};
    odd[n++] = (struct odd){"epoll", epoll_create1(0)};
    return n;
}

static char label[128];
static const char *named(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(label, sizeof label, format, arguments);
    va_end(arguments);
    return label;
}

static void descriptors(void) {
    struct odd odd[16];
    int count = odd_descriptors(odd), port = port_of(listener(5));
    struct sockaddr_in address = loopback(port);
    struct sockaddr_storage name;
    for (int i = 0; i < count; i++) {
        int s = odd[i].number, value;
        const char *what = odd[i].name;
        socklen_t length = sizeof name;
        result(named("connect %s", what), connect(s, (void *)&address, sizeof address));
        result(named("connect %s, bad pointer", what), connect(s, (void *)nowhere, sizeof address));
        result(named("connect %s, length -1", what), connect(s, (void *)&address, -1));
        result(named("bind %s", what), bind(s, (void *)&address, sizeof address));
        result(named("bind %s, bad pointer", what), bind(s, (void *)nowhere, sizeof address));
        result(named("bind %s, length -1", what), bind(s, (void *)&address, -1));
        if (strcmp(what, "unix datagram") && strcmp(what, "netlink")) {
            result(named("accept %s", what), accept(s, NULL, NULL));
            result(named("accept4 %s, bad flags", what), accept4(s, NULL, NULL, 1));
            result(named("accept %s, bad pointer", what), accept(s, (void *)nowhere, (void *)nowhere));
        }
        result(named("getsockname %s", what), getsockname(s, (void *)&name, &length));
        length = sizeof name;
        result(named("getsockname %s, bad pointer", what), getsockname(s, (void *)nowhere, (void *)nowhere));
        result(named("getpeername %s", what), getpeername(s, (void *)&name, &length));
        result(named("getpeername %s, bad pointer", what), getpeername(s, (void *)nowhere, (void *)nowhere));
        length = sizeof value;
        result(named("getsockopt %s", what), getsockopt(s, SOL_SOCKET, SO_ERROR, &value, &length));
        result(named("getsockopt %s, bad pointer", what), getsockopt(s, SOL_SOCKET, SO_ERROR, nowhere, (void *)(nowhere + 8)));
        value = 1;
        result(named("setsockopt %s", what), setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value));
        result(named("setsockopt %s, bad pointer", what), setsockopt(s, SOL_SOCKET, SO_REUSEADDR, nowhere, 4));
        result(named("setsockopt %s, length -1", what), setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &value, -1));
        if (strncmp(what, "unix", 4)) result(named("listen %s", what), listen(s, 5));
        result(named("shutdown %s", what), shutdown(s, SHUT_RDWR));
        result(named("shutdown %s, bad how", what), shutdown(s, 7));
    }
}

/* connect, on sockets in every state, with lengths of every kind. */
static const socklen_t LENGTHS[] = {0, 1, 2, 3, 8, 15, 16, 17, 23, 24, 27, 28, 29, 64, 110, 127, 128, 129, 4096, 0x7fffffff, 0x80000000, -1};

static int in_state(const char *state, int family, int *keep) {
    int s = socket(family, SOCK_STREAM, 0);
    need(s >= 0, "socket");
    if (!strcmp(state, "listening")) need(!listen(s, 5), "listen");
    if (!strcmp(state, "connected")) {
        *keep = listener(5);
        close(s);
        s = connected_to(port_of(*keep));
    }
    return s;
}

static void lengths(void) {
    static const char *const states[] = {"fresh", "listening", "connected"};
    static const int families[] = {AF_INET, AF_INET6};
    struct sockaddr_storage room[64] = {0};
    int deaf = deaf_port();
    for (int f = 0; f < 2; f++)
        for (int named_family = 0; named_family < 2; named_family++)
            for (int state = 0; state < COUNT(states); state++)
                for (int i = 0; i < COUNT(LENGTHS); i++) {
                    int keep = -1, s = in_state(states[state], families[f], &keep);
                    struct sockaddr_in in = loopback(deaf);
                    struct sockaddr_in6 in6 = loopback6(deaf);
                    if (families[named_family] == AF_INET) memcpy(room, &in, sizeof in);
                    else memcpy(room, &in6, sizeof in6);
                    const char *what = named("%s socket, %s address, %s, length %d", f ? "ipv6" : "ipv4",
                                             named_family ? "ipv6" : "ipv4", states[state], (int)LENGTHS[i]);
                    result(what, connect(s, (void *)room, LENGTHS[i]));
                    close(s);
                    if (keep >= 0) close(keep);
                    s = in_state(states[state], families[f], &keep);
                    if (families[named_family] == AF_INET) ((struct sockaddr_in *)room)->sin_port = 0;
                    else ((struct sockaddr_in6 *)room)->sin6_port = 0;
                    printf("bind ");
                    result(what, bind(s, (void *)room, LENGTHS[i]));
                    close(s);
                    if (keep >= 0) close(keep);
                }
}

static void families(void) {
    static const int numbers[] = {AF_UNSPEC, AF_UNIX, AF_INET, 3, AF_INET6, 11, AF_NETLINK, AF_PACKET, 23, AF_VSOCK, 99, 0xff02, 0xffff};
    static const int own[] = {AF_INET, AF_INET6};
    static const socklen_t sizes[] = {2, 16, 28, 128};
    for (int f = 0; f < 2; f++)
        for (int i = 0; i < COUNT(numbers); i++)
            for (int size = 0; size < COUNT(sizes); size++) {
                struct sockaddr_storage address = {.ss_family = numbers[i]};
                const char *what = named("%s, family %d, %u bytes", f ? "ipv6" : "ipv4", numbers[i], sizes[size]);
                int s = socket(own[f], SOCK_STREAM, 0), d = socket(own[f], SOCK_DGRAM, 0);
                printf("connect ");
                result(what, connect(s, (void *)&address, sizes[size]));
                close(s);
                s = socket(own[f], SOCK_STREAM, 0);
                printf("bind ");
                result(what, bind(s, (void *)&address, sizes[size]));
                printf("udp connect ");
                result(what, connect(d, (void *)&address, sizes[size]));
                close(d);
                d = socket(own[f], SOCK_DGRAM, 0);
                printf("udp bind ");
                result(what, bind(d, (void *)&address, sizes[size]));
                close(s);
                close(d);
            }
}

static void unspec(void) {
    int l = listener(5), s = connected_to(port_of(l)), u = socket(AF_INET, SOCK_DGRAM, 0), port = port_of(l);
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    result("connect of a connected stream to nobody", connect(s, &nobody, sizeof nobody));
    result("its peer", getpeername(s, (void *)&name, &length));
    result("it connects again", connect_to(s, port));
    result("to nobody, 2 bytes", connect(s, &nobody, 2));
    result("and again", connect_to(s, port));
    result("to nobody, 1 byte", connect(s, &nobody, 1));
    result("a fresh stream to nobody", connect(stream(), &nobody, sizeof nobody));
    int second = listener(5);
    result("a listener to nobody", connect(second, &nobody, sizeof nobody));
    result("it accepts no more", accept(second, NULL, NULL));
    result("datagram", connect_to(u, port));
    result("datagram to nobody", connect(u, &nobody, sizeof nobody));
    length = sizeof name;
    result("its peer", getpeername(u, (void *)&name, &length));
    struct sockaddr_in any = {.sin_family = AF_UNSPEC};
    result("bind to family 0, any address", bind(stream(), (void *)&any, sizeof any));
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result("bind to family 0, loopback", bind(stream(), (void *)&any, sizeof any));
}

static void pointers(void) {
    int l = listener(5), s = stream(), port = port_of(l);
    struct sockaddr_in address = loopback(port);
    char *across = page_end - 8;
    result("connect, NULL", connect(s, NULL, sizeof address));
    result("connect, NULL, length 0", connect(s, NULL, 0));
    result("connect, nowhere", connect(s, (void *)nowhere, sizeof address));
    result("connect, kernel space", connect(s, (void *)0xffffffff80000000, sizeof address));
    result("connect, not canonical", connect(s, (void *)0x8000000000000000, sizeof address));
    memcpy(across, &address, 8);
    result("connect, half readable", connect(s, (void *)across, sizeof address));
    result("connect, half readable, 8 bytes", connect(s, (void *)across, 8));
    result("bind, NULL", bind(s, NULL, sizeof address));
    result("bind, nowhere", bind(s, (void *)nowhere, sizeof address));
    result("bind, nowhere, length 0", bind(s, (void *)nowhere, 0));
    result("bind, half readable", bind(s, (void *)across, sizeof address));
    result("after all that it connects", connect_to(s, port));
    result("connected: nowhere", connect(s, (void *)nowhere, sizeof address));
    result("connected: again", connect_to(s, port));
    result("connected: bind", bind(s, (void *)&address, sizeof address));
    result("connected: listen", listen(s, 5));
    result("listener: connect", connect_to(l, port));
    result("listener: bind", bind(l, (void *)&address, sizeof address));
    result("listener: listen again", listen(l, 7));
    result("listen, negative", listen(stream(), -1));
    result("listen, huge", listen(stream(), 0x7fffffff));
    result("listen, udp", listen(socket(AF_INET, SOCK_DGRAM, 0), 5));
    int second = stream();
    result("bind, port in use", bind(second, (void *)&address, sizeof address));
    address.sin_addr.s_addr = htonl(0x08080808);
    result("bind, not an address of ours", bind(second, (void *)&address, sizeof address));
    address = loopback(0);
    result("bind twice: first", bind(second, (void *)&address, sizeof address));
    result("bind twice: second", bind(second, (void *)&address, sizeof address));
}

typedef int name_call(int, struct sockaddr *, socklen_t *);

static void names_of(const char *what, name_call *call, int s, int port) {
    static const int rooms[] = {0, 1, 2, 8, 15, 16, 17, 28, 128, 4096};
    for (int i = 0; i < COUNT(rooms); i++) {
        unsigned char room[4096];
        memset(room, 0xee, sizeof room);
        socklen_t length = rooms[i];
        result(named("%s, room %d", what, rooms[i]), call(s, (void *)room, &length));
        int written = sizeof room;  /* seen from the end: a port may have such a byte, too */
        while (written && room[written - 1] == 0xee) written--;
        say("  length %u, family %d, bytes from %d untouched, port %s", length, room[0], rooms[i] < 16 ? written : 16,
            rooms[i] < 4 ? "unknown" : (room[2] << 8 | room[3]) == port ? "as expected" : "another");
    }
    socklen_t length = -1;
    struct sockaddr_storage name;
    result(named("%s, room -1", what), call(s, (void *)&name, &length));
    say("  length %d", (int)length);
    length = sizeof name;
    result(named("%s, NULL address", what), call(s, NULL, &length));
    length = 0;
    result(named("%s, NULL address, room 0", what), call(s, NULL, &length));
    say("  length %d", (int)length);
    length = sizeof name;
    result(named("%s, NULL length", what), call(s, (void *)&name, NULL));
    result(named("%s, address nowhere", what), call(s, (void *)nowhere, &length));  /* length: as the kernel's age */
    result(named("%s, address read-only", what), call(s, (void *)read_only, &length));
    result(named("%s, length read-only", what), call(s, (void *)&name, (void *)read_only));
    length = sizeof name;
    result(named("%s, half writable", what), call(s, (void *)(page_end - 8), &length));
    length = 8;
    result(named("%s, half writable, room 8", what), call(s, (void *)(page_end - 8), &length));
    say("  length %d", (int)length);
}

static void names(void) {
    int l = listener(5), port = port_of(l), s = connected_to(port);
    names_of("getsockname of a listener", getsockname, l, port);
    names_of("getpeername of a connection", getpeername, s, port);
    names_of("getpeername of a fresh socket", getpeername, stream(), port);
    names_of("getsockname of a fresh socket", getsockname, stream(), port);
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    names_of("getpeername of udp", getpeername, u, port);
    need(!connect_to(u, port), "connect");
    names_of("getpeername of connected udp", getpeername, u, port);
}

static void options_of(const char *what, int s, int level, int option) {
    static const int rooms[] = {-1, 0, 1, 2, 3, 4, 5, 8, 64};
    for (int i = 0; i < COUNT(rooms); i++) {
        unsigned char room[64];
        memset(room, 0xee, sizeof room);
        socklen_t length = rooms[i];
        result(named("%s, room %d", what, rooms[i]), getsockopt(s, level, option, room, &length));
        say("  length %d, bytes %02x %02x %02x %02x %02x", (int)length, room[0], room[1], room[2], room[3], room[4]);
    }
    socklen_t length = 4;
    int value = 0;
    result(named("%s, NULL value", what), getsockopt(s, level, option, NULL, &length));
    result(named("%s, NULL length", what), getsockopt(s, level, option, &value, NULL));
    result(named("%s, value read-only", what), getsockopt(s, level, option, read_only, &length));
    result(named("%s, length read-only", what), getsockopt(s, level, option, &value, (void *)read_only));
    result(named("%s, nowhere", what), getsockopt(s, level, option, nowhere, (void *)(nowhere + 8)));
}

static void options(void) {
    int s = stream(), deaf = deaf_port();
    options_of("SO_ERROR of a fresh socket", s, SOL_SOCKET, SO_ERROR);
    fcntl(s, F_SETFL, O_NONBLOCK);
    result("connect to nobody", connect_to(s, deaf));
    struct pollfd wait = {.fd = s, .events = POLLOUT};
    poll(&wait, 1, 5000);
    socklen_t negative = -1, length = 4;
    int value = -1;
    result("SO_ERROR, length -1", getsockopt(s, SOL_SOCKET, SO_ERROR, &value, &negative));
    show_so_error("SO_ERROR is still there", s);
    show_so_error("and now gone", s);
    options_of("SO_REUSEADDR", s, SOL_SOCKET, SO_REUSEADDR);
    options_of("SO_LINGER", s, SOL_SOCKET, SO_LINGER);
    options_of("TCP_NODELAY", s, IPPROTO_TCP, TCP_NODELAY);
    options_of("SO_TYPE", s, SOL_SOCKET, SO_TYPE);
    options_of("SO_ACCEPTCONN", s, SOL_SOCKET, SO_ACCEPTCONN);
    options_of("IP_TTL", s, IPPROTO_IP, IP_TTL);
    options_of("SO_RCVBUF", s, SOL_SOCKET, SO_RCVBUF);
    options_of("SO_RCVTIMEO", s, SOL_SOCKET, SO_RCVTIMEO);
    result("unknown option", getsockopt(s, SOL_SOCKET, 4711, &value, &length));
    result("unknown level", getsockopt(s, 4711, SO_ERROR, &value, &length));
}

static void setting(void) {
    static const struct { const char *name; int level, option; } rows[] = {
        {"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR}, {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
        {"SO_LINGER", SOL_SOCKET, SO_LINGER},       {"SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO},
        {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},  {"IP_TTL", IPPROTO_IP, IP_TTL},
        {"SO_ERROR", SOL_SOCKET, SO_ERROR},         {"SO_TYPE", SOL_SOCKET, SO_TYPE},
        {"unknown", SOL_SOCKET, 4711},              {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF},
        {"IP_TOS", IPPROTO_IP, IP_TOS},             {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE},
    };
    static const int sizes[] = {-1, 0, 1, 3, 4, 5, 8, 16, 64};
    static const int values[] = {0, 1, 2, -1, 255, 70000};
    for (int i = 0; i < COUNT(rows); i++) {
        for (int size = 0; size < COUNT(sizes); size++) {
            int s = stream(), room[16] = {1, 1, 1, 1};
            result(named("set %s, %d bytes", rows[i].name, sizes[size]),
                   setsockopt(s, rows[i].level, rows[i].option, room, sizes[size]));
            close(s);
        }
        for (int v = 0; v < COUNT(values); v++) {
            int s = stream(), room[4] = {values[v], 0, values[v], 0}, back[4] = {0};
            socklen_t length = sizeof back;
            result(named("set %s to %d", rows[i].name, values[v]), setsockopt(s, rows[i].level, rows[i].option, room, 16));
            int got = getsockopt(s, rows[i].level, rows[i].option, back, &length);
            say("  read back: %d, %u bytes: %d %d %d %d", got, length, back[0], back[1], back[2], back[3]);
            close(s);
        }
        int s = stream();
        result(named("set %s, NULL", rows[i].name), setsockopt(s, rows[i].level, rows[i].option, NULL, 4));
        result(named("set %s, nowhere", rows[i].name), setsockopt(s, rows[i].level, rows[i].option, nowhere, 4));
        result(named("set %s, half readable", rows[i].name), setsockopt(s, rows[i].level, rows[i].option, page_end - 2, 4));
        close(s);
    }
    struct timeval odd[] = {{0, 1500}, {0, 1000000}, {-1, 0}, {0, -1}, {1, 500000}};
    for (int i = 0; i < COUNT(odd); i++) {
        int s = stream();
        struct timeval back = {0};
        socklen_t length = sizeof back;
        result(named("SO_RCVTIMEO %ld s %ld us", odd[i].tv_sec, odd[i].tv_usec),
               setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &odd[i], sizeof odd[i]));
        getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &back, &length);
        say("  read back: %ld s %ld us, %u bytes", back.tv_sec, back.tv_usec, length);
        close(s);
    }
}

/* The kernel looks at the low words of int arguments only. */
static void high_words(void) {
    const long garbage = 0xdeadbeef00000000;
    int l = listener(5), s = stream(), port = port_of(l), value = 5;
    struct sockaddr_in address = loopback(port), any = loopback(0);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    result("bind", syscall(SYS_bind, garbage | s, &any, garbage | sizeof any));
    result("connect", syscall(SYS_connect, garbage | s, &address, garbage | sizeof address));
    result("accept4", syscall(SYS_accept4, garbage | l, &name, &length, garbage | SOCK_NONBLOCK) >= 0 ? 0 : -1);
    length = sizeof value;
    result("getsockopt", syscall(SYS_getsockopt, garbage | s, garbage | SOL_SOCKET, garbage | SO_ERROR, &value, &length));
    say("  value %d, length %u", value, length);
    result("setsockopt", syscall(SYS_setsockopt, garbage | s, garbage | IPPROTO_TCP, garbage | TCP_NODELAY, &l, garbage | 4));
    length = sizeof name;
    result("getpeername", syscall(SYS_getpeername, garbage | s, &name, &length));
    result("getsockname", syscall(SYS_getsockname, garbage | s, &name, &length));
    result("shutdown", syscall(SYS_shutdown, garbage | s, garbage | SHUT_RDWR));
    result("shutdown, bad how", syscall(SYS_shutdown, garbage | s, garbage | 3));
    result("listen", syscall(SYS_listen, garbage | stream(), garbage | 5));
    descriptor("socket", syscall(SYS_socket, garbage | AF_INET, garbage | SOCK_STREAM, garbage));
    descriptor("socket, udp", syscall(SYS_socket, garbage | AF_INET, garbage | SOCK_DGRAM | SOCK_CLOEXEC, garbage));
    result("sendto", syscall(SYS_sendto, garbage | socket(AF_INET, SOCK_DGRAM, 0), "x", 1, garbage, &address,
                             garbage | sizeof address));
}

static void ipv6(void) {
    int l4 = listener(5), port = port_of(l4), l6 = socket(AF_INET6, SOCK_STREAM, 0), only = 1;
    struct sockaddr_in6 any = loopback6(0), mapped = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    need(!bind(l6, (void *)&any, sizeof any) && !listen(l6, 5), "bind");
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    result("v4-mapped", connect(s, (void *)&mapped, sizeof mapped));
    result("its peer", getpeername(s, (void *)&name, &length));
    show_address("  peer", &name, length, port);
    struct sockaddr_in6 to = loopback6(port_of(l6));
    s = socket(AF_INET6, SOCK_STREAM, 0);
    result("24 bytes", connect(s, (void *)&to, 24));
    s = socket(AF_INET6, SOCK_STREAM, 0);
    to.sin6_flowinfo = htonl(0x12345);
    to.sin6_scope_id = 77;
    result("a scope on ::1", connect(s, (void *)&to, sizeof to));
    length = sizeof name;
    result("its peer", getpeername(s, (void *)&name, &length));
    show_address("  peer", &name, length, port_of(l6));
    say("  scope %u, flow %x", ((struct sockaddr_in6 *)&name)->sin6_scope_id, ((struct sockaddr_in6 *)&name)->sin6_flowinfo);
    inet_pton(AF_INET6, "fe80::1", &to.sin6_addr);
    result("link-local with a wrong scope", connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&to, sizeof to));
    to.sin6_scope_id = 0;
    result("link-local without a scope", connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&to, sizeof to));
    s = socket(AF_INET6, SOCK_STREAM, 0);
    need(!setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only), "IPV6_V6ONLY");
    result("v4-mapped on a v6-only socket", connect(s, (void *)&mapped, sizeof mapped));
    struct sockaddr_in in = loopback(port);
    result("ipv4 on an ipv6 udp socket", connect(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&in, sizeof in));
    result("bind ipv4 on an ipv6 udp socket", bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&in, sizeof in));
    struct sockaddr_in6 zeros = {.sin6_family = AF_INET6, .sin6_port = htons(port_of(l6))};
    s = socket(AF_INET6, SOCK_STREAM, 0);
    result("to ::", connect(s, (void *)&zeros, sizeof zeros));
    struct sockaddr_in zero = {.sin_family = AF_INET, .sin_port = htons(port)};
    memset(zero.sin_zero, 0xaa, sizeof zero.sin_zero);
    result("to 0.0.0.0, garbage in sin_zero", connect(stream(), (void *)&zero, sizeof zero));
    zero = loopback(0);
    result("to port 0", connect(stream(), (void *)&zero, sizeof zero));
    zero.sin_addr.s_addr = 0xffffffff;
    zero.sin_port = htons(9);
    result("to broadcast", connect(stream(), (void *)&zero, sizeof zero));
    result("udp to broadcast", connect(socket(AF_INET, SOCK_DGRAM, 0), (void *)&zero, sizeof zero));
    zero.sin_addr.s_addr = htonl(0xe0000001);
    result("to multicast", connect(stream(), (void *)&zero, sizeof zero));
}

static void shutdowns(void) {
    int l = listener(5), s = connected_to(port_of(l)), a = accept(l, NULL, NULL);
    char byte;
    result("unconnected", shutdown(stream(), SHUT_WR));
    result("how 3", shutdown(s, 3));
    result("how -1", shutdown(s, -1));
    result("SHUT_WR", shutdown(s, SHUT_WR));
    result("SHUT_WR again", shutdown(s, SHUT_WR));
    result("the peer reads the end", read(a, &byte, 1));
    signal(SIGPIPE, SIG_IGN);
    result("write after it", write(s, "x", 1));
    result("SHUT_RD", shutdown(s, SHUT_RD));
    result("SHUT_RDWR", shutdown(s, SHUT_RDWR));
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    result("udp unconnected", shutdown(u, SHUT_RDWR));
    need(!connect_to(u, 9), "connect");
    result("udp connected", shutdown(u, SHUT_RDWR));
    result("a listener", shutdown(l, SHUT_RDWR));
    result("it listens no more", accept(l, NULL, NULL));
    result("listen again", listen(l, 5));
    result("and connect to it", connect_to(stream(), port_of(l)));
}

/* socket() itself: kinds that exist, and kinds that do not. */
static void kinds(void) {
    static const int families[] = {AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, 45, 46, 999, -1};
    static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, 10, 15, SOCK_STREAM | SOCK_NONBLOCK,
                                SOCK_STREAM | SOCK_CLOEXEC, SOCK_STREAM | 0x10000, -1};
    static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, 255, 256, -1, 999};
    for (int f = 0; f < COUNT(families); f++)
        for (int t = 0; t < COUNT(types); t++)
            for (int p = 0; p < COUNT(protocols); p++) {
                int s = socket(families[f], types[t], protocols[p]);
                descriptor(named("socket %d, %#x, %d", families[f], types[t], protocols[p]), s);
                if (s >= 0) close(s);
            }
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } groups[] = {
        {"descriptors", descriptors}, {"lengths", lengths}, {"families", families}, {"unspec", unspec},
        {"pointers", pointers},       {"names", names},     {"options", options},   {"setting", setting},
        {"high_words", high_words},   {"ipv6", ipv6},       {"shutdowns", shutdowns}, {"kinds", kinds},
    };
    map_pages();
    for (int i = 0; i < COUNT(groups); i++)
        if (count == 2 && !strcmp(arguments[1], groups[i].name)) {
            groups[i].run();
            return 0;
        }
    return 98;
}
