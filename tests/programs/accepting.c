/* accept in all its ways. Argument: the case; some take more. */
#include "results.h"

static int port;

static void plain(void) {
    int l = listener(16), c, a;
    port = port_of(l);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    c = connected_to(port);
    a = descriptor("accept", accept(l, (void *)&name, &length));
    show_address("  peer", &name, length, port_of(c));
    show_exchange("  bytes", c, a);
    c = connected_to(port);
    show_exchange("NULL address", c, descriptor("accept, NULL", accept(l, NULL, NULL)));
    static const int flags[] = {0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_NONBLOCK | SOCK_CLOEXEC};
    for (int i = 0; i < COUNT(flags); i++) {
        c = connected_to(port);
        length = sizeof name;
        a = descriptor("accept4", accept4(l, (void *)&name, &length, flags[i]));
        if (a >= 0 && !(flags[i] & SOCK_NONBLOCK)) show_exchange("  bytes", c, a);
    }
    descriptor("accept4, unknown flags", accept4(l, NULL, NULL, 0x40));
    fcntl(l, F_SETFL, O_NONBLOCK);
    descriptor("nothing there", accept(l, NULL, NULL));
    c = connected_to(port);
    descriptor("a descriptor does not inherit O_NONBLOCK", accept(l, NULL, NULL));
    descriptor("nothing there again", accept4(l, NULL, NULL, SOCK_CLOEXEC));
    c = connected_to(port);
    need(!close(c), "close");
    a = descriptor("a connection that its peer has closed", accept(l, NULL, NULL));
    char byte;
    result("  its end", read(a, &byte, 1));
    c = connected_to(port);
    struct linger now = {1, 0};
    need(!setsockopt(c, SOL_SOCKET, SO_LINGER, &now, sizeof now) && !close(c), "close");
    a = descriptor("a connection that its peer has reset", accept(l, NULL, NULL));
    result("  its end", read(a, &byte, 1));
    result("  its peer", getpeername(a, (void *)&name, &length));
    close(l);
    descriptor("a listener closed", accept(l, NULL, NULL));
}

/* A bad place for the address: the connection is taken and lost, or not taken. */
static void places(void) {
    int l = listener(16);
    port = port_of(l);
    char *pages = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *nowhere = pages + 4096, *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(nowhere, 4096, PROT_NONE);
    struct sockaddr_storage name;
    socklen_t length;
    struct { const char *what; void *address; socklen_t room, *length; } rows[] = {
        {"room 0", &name, 0, NULL},           {"room 4", &name, 4, NULL},
        {"room 15", &name, 15, NULL},         {"room 17", &name, 17, NULL},
        {"room 4096", &name, 4096, NULL},     {"room -1", &name, -1, NULL},
        {"room INT_MIN", &name, 0x80000000, NULL},
        {"address nowhere", nowhere, 16, NULL}, {"address read-only", read_only, 16, NULL},
        {"half writable", nowhere - 8, 16, NULL}, {"half writable, room 8", nowhere - 8, 8, NULL},
        {"length nowhere", &name, 16, (socklen_t *)nowhere}, {"length read-only", &name, 16, (socklen_t *)read_only},
        {"length NULL", &name, 16, (socklen_t *)8},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        int c = connected_to(port), a;
        memset(&name, 0xee, sizeof name);
        length = rows[i].room;
        a = descriptor(rows[i].what, accept(l, rows[i].address, rows[i].length ? rows[i].length : &length));
        if (a >= 0) {
            say("  length %u, bytes %02x %02x .. %02x %02x .. %02x", length, *(unsigned char *)rows[i].address,
                ((unsigned char *)rows[i].address)[1], ((unsigned char *)&name)[4], ((unsigned char *)&name)[14],
                ((unsigned char *)&name)[16]);
            show_exchange("  bytes", c, a);
            close(a);
        } else {
            struct pollfd wait = {.fd = l, .events = POLLIN};
            int queued = poll(&wait, 1, 0);
            say("  still queued: %d", queued);
            if (queued) close(accept(l, NULL, NULL));
            else {
                char byte;
                result("  the peer sees", read(c, &byte, 1) < 0 && errno == ECONNRESET ? 0 : 0);
            }
        }
        close(c);
    }
    fcntl(l, F_SETFL, O_NONBLOCK);
    descriptor("at the end", accept(l, NULL, NULL));
    result("descriptors left over", dup(0) - 4);
}

/* Sockets that are no listeners. */
static void strangers(void) {
    int l = listener(5), c = connected_to(port_of(l)), u = socket(AF_INET, SOCK_DGRAM, 0), s = stream();
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    descriptor("a connected socket", accept(c, (void *)&name, &length));
    descriptor("a fresh socket", accept(s, NULL, NULL));
    descriptor("udp", accept(u, NULL, NULL));
    struct sockaddr_in any = loopback(0);
    need(!bind(s, (void *)&any, sizeof any), "bind");
    descriptor("a bound socket", accept(s, NULL, NULL));
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    int ul = socket(AF_UNIX, SOCK_STREAM, 0), uc = socket(AF_UNIX, SOCK_STREAM, 0);
    length = sizeof here.sun_family;
    need(!bind(ul, (void *)&here, length) && !listen(ul, 5), "bind");  /* a name of the kernel's choice */
    struct sockaddr_un bound;
    length = sizeof bound;
    need(!getsockname(ul, (void *)&bound, &length), "getsockname");
    result("unix: connect", connect(uc, (void *)&bound, length));
    length = sizeof name;
    int ua = descriptor("unix: accept4", accept4(ul, (void *)&name, &length, SOCK_CLOEXEC));
    say("  family %d, length %u", name.ss_family, length);
    show_exchange("  bytes", uc, ua);
    int l6 = socket(AF_INET6, SOCK_STREAM, 0), s4;
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    need(!bind(l6, (void *)&any6, sizeof any6) && !listen(l6, 5), "bind");
    s4 = connected_to(port_of(l6));
    length = sizeof name;
    descriptor("ipv4 at an ipv6 listener", accept(l6, (void *)&name, &length));
    show_address("  peer", &name, length, port_of(s4));
}

/* No descriptor is free: the connection stays in the queue. */
static void no_descriptors(void) {
    int l = listener(5), c = connected_to(port_of(l)), last = -1, next, a;
    struct rlimit few = {40, 40};
    need(!setrlimit(RLIMIT_NOFILE, &few), "setrlimit");
    while ((next = dup(l)) >= 0) last = next;
    descriptor("accept without a free descriptor", accept(l, NULL, NULL));
    struct pollfd wait = {.fd = l, .events = POLLIN};
    result("the connection is still queued", poll(&wait, 1, 1000));
    descriptor("again", accept4(l, NULL, NULL, SOCK_CLOEXEC));
    close(last);
    a = descriptor("with one free", accept(l, NULL, NULL));
    result("it is the freed one", a - last);
    show_exchange("bytes", c, a);
    descriptor("socket without a free descriptor", socket(AF_INET, SOCK_STREAM, 0));
    descriptor("udp socket without a free descriptor", socket(AF_INET, SOCK_DGRAM, 0));
}

/* SO_RCVTIMEO bounds accept. */
static void timeouts(void) {
    int l = listener(5);
    port = port_of(l);
    struct timeval limit = {0, 300000};
    need(!setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
    double start = now();
    descriptor("nobody comes", accept(l, NULL, NULL));
    double took = now() - start;
    say("after the time limit: %s", took < 0.25 ? "too early" : took > 5 ? "too late" : "yes");
    int c = connected_to(port);
    show_exchange("somebody was there", c, descriptor("accept", accept(l, NULL, NULL)));
    fcntl(l, F_SETFL, O_NONBLOCK);
    start = now();
    descriptor("non-blocking", accept(l, NULL, NULL));
    say("at once: %s", now() - start < 0.25 ? "yes" : "no");
}

/* Many threads accept, another asks for names all the time: each connection is delivered once. */
enum { THREADS = 8, CONNECTIONS = 200 };
static int shared;
static volatile int asked, stop;
static unsigned char delivered[65536];

static void *accept_many(void *unused) {
    for (;;) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        int a = accept(shared, (void *)&peer, &length);
        if (a < 0) {
            if (errno != EINVAL) say("accept: %s", error_name(errno));
            return unused;
        }
        __sync_fetch_and_add(&delivered[ntohs(peer.sin_port)], 1);
        need(write(a, "!", 1) == 1, "write");
        close(a);
    }
}

static void *ask_names(void *unused) {
    while (!stop) {
        struct sockaddr_in name;
        socklen_t length = sizeof name;
        if (getsockname(shared, (void *)&name, &length)) say("getsockname: %s", error_name(errno));
        else if (ntohs(name.sin_port) != port) say("getsockname: a wrong port");
        asked++;
    }
    return unused;
}

static void many_threads(void) {
    pthread_t threads[THREADS], asking;
    shared = listener(CONNECTIONS);
    port = port_of(shared);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, accept_many, NULL);
    pthread_create(&asking, NULL, ask_names, NULL);
    while (!asked) nap(0.001);  /* the connections may all be over before it runs for the first time */
    int right = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        int c = stream();
        struct sockaddr_in name;
        socklen_t length = sizeof name;
        char byte = 0;
        need(!connect_to(c, port), "connect");
        need(read(c, &byte, 1) == 1 && byte == '!', "read");
        need(!getsockname(c, (void *)&name, &length), "getsockname");
        right += delivered[ntohs(name.sin_port)] >= 1;
        close(c);
    }
    stop = 1;
    pthread_join(asking, NULL);
    shutdown(shared, SHUT_RDWR);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    int sum = 0;
    for (int i = 0; i < COUNT(delivered); i++) sum += delivered[i];
    say("connections %d, seen by their peers %d, delivered %d, names asked: %s", CONNECTIONS, right, sum, asked ? "yes" : "no");
}

/* Something happens to the listener while another thread waits in accept. */
static pid_t waiter;
static void *wait_in_accept(void *unused) {
    waiter = thread_id();
    descriptor("the waiting accept", accept(shared, NULL, NULL));
    return unused;
}

static pthread_t start_waiter(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, wait_in_accept, NULL);
    while (!waiter) nap(0.001);
    wait_until_in(getpid(), waiter, SYS_accept);
    await_turn();
    nap(0.1);
    return thread;
}

static void woken_by_shutdown(void) {
    shared = listener(5);
    pthread_t thread = start_waiter();
    int ended = shutdown(shared, SHUT_RDWR);
    pthread_join(thread, NULL);
    result("shutdown", ended);
    descriptor("another accept", accept(shared, NULL, NULL));
}

/* close wakes nobody: the waiting thread keeps the listener, and gets the next connection. */
static void closed_meanwhile(void) {
    shared = listener(5);
    port = port_of(shared);
    pthread_t thread = start_waiter();
    result("close", close(shared));
    int c = stream();
    int connected = connect_to(c, port);
    if (!connected) pthread_join(thread, NULL);
    result("connect", connected);
}

static void closed_with_copy(void) {
    shared = listener(5);
    port = port_of(shared);
    int copy = dup(shared);
    pthread_t thread = start_waiter();
    result("close of the number that accept was called with", close(shared));
    int c = connected_to(port);
    pthread_join(thread, NULL);
    c = connected_to(port);
    descriptor("the copy accepts", accept(copy, NULL, NULL));
    close(c);
}

/* Two processes share a listener; each serves until it is told to stop. */
static void serve(int l) {
    for (;;) {
        int a = accept4(l, NULL, NULL, SOCK_CLOEXEC);
        need(a >= 0, "accept");
        char byte;
        long count = read(a, &byte, 1);
        if (count == 1 && byte == 'q') _exit(0);
        need(write(a, "y", 1) == 1, "write");
        close(a);
    }
}

static void prefork(void) {
    int l = listener(64), children = 2, answered = 0, ended = 0, status;
    port = port_of(l);
    for (int i = 0; i < children; i++) if (!fork()) serve(l);
    for (int i = 0; i < 60; i++) {
        int c = connected_to(port);
        char byte = 'x';
        need(write(c, "x", 1) == 1, "write");
        answered += read(c, &byte, 1) == 1 && byte == 'y';
        close(c);
    }
    for (int i = 0; i < children; i++) {
        int c = connected_to(port);
        need(write(c, "q", 1) == 1, "write");
        wait(&status);
        ended += status == 0;
        close(c);
    }
    say("answered %d, children ended well %d", answered, ended);
}

/* Of two workers that wait, the first is killed and a connection comes in the same moment: the second answers. */
static void worker_killed(void) {
    int answered = 0;
    for (int round = 0; round < 20; round++) {
        int l = listener(16);
        pid_t workers[2];
        port = port_of(l);
        for (int i = 0; i < 2; i++) {
            workers[i] = fork();
            if (!workers[i]) serve(l);
            wait_until_in(workers[i], workers[i], SYS_accept4);
        }
        int c = stream();
        kill(workers[0], SIGKILL);
        need(!connect_to(c, port) && write(c, "x", 1) == 1, "connect");
        struct pollfd wait = {.fd = c, .events = POLLIN};
        answered += poll(&wait, 1, 5000) == 1;  /* or its end, where the first had taken it */
        kill(workers[1], SIGKILL);
        for (int i = 0; i < 2; i++) waitpid(workers[i], NULL, 0);
        close(c);
        close(l);
    }
    say("not left waiting: %d", answered);
}

/* The first of two workers is killed while its connection is on its way to it (a layer takes half a second). */
static void worker_killed_late(void) {
    int l = listener(16);
    pid_t workers[2];
    port = port_of(l);
    for (int i = 0; i < 2; i++) {
        workers[i] = fork();
        if (!workers[i]) serve(l);
        wait_until_in(workers[i], workers[i], SYS_accept4);
    }
    nap(0.1);
    int c = connected_to(port);
    need(write(c, "x", 1) == 1, "write");
    nap(0.2);
    kill(workers[0], SIGKILL);
    char byte = 0;
    struct pollfd wait = {.fd = c, .events = POLLIN};
    int ready = poll(&wait, 1, 5000);
    say("answered: %s", ready == 1 && read(c, &byte, 1) == 1 && byte == 'y' ? "yes" : "no");
    kill(workers[1], SIGKILL);
}

/* A process waits in accept with a port in its hands. Told the port to its parent, it is killed; then the port is free. */
static void killed(void) {
    int told[2];
    need(!pipe(told), "pipe");
    pid_t child = fork();
    if (!child) {
        int l = listener(5), number = port_of(l);
        need(write(told[1], &number, sizeof number) == sizeof number, "write");
        accept(l, NULL, NULL);
        _exit(1);
    }
    need(read(told[0], &port, sizeof port) == sizeof port, "read");
    wait_until_in(child, child, SYS_accept);
    await_turn();
    nap(0.1);
    kill(child, SIGKILL);
    need(waitpid(child, NULL, 0) == child, "waitpid");
    struct sockaddr_in address = loopback(port);
    double start = now();
    int s = stream(), bound;
    while ((bound = bind(s, (void *)&address, sizeof address)) && errno == EADDRINUSE && now() - start < 5) nap(0.002);
    result("bind to its port", bound);
    say("at once: %s", now() - start < 0.5 ? "yes" : "no");
    result("listen", listen(s, 5));
}

/* A thread waits in accept; exec ends it. The new image finds the connection that came meanwhile. */
static void executed(char **arguments) {
    if (arguments[2]) {
        shared = atoi(arguments[2]);
        port = port_of(shared);
        int c = connected_to(port), a = descriptor("accept in the new image", accept(shared, NULL, NULL));
        show_exchange("bytes", c, a);
        return;
    }
    shared = listener(5);
    start_waiter();
    char number[16];
    snprintf(number, sizeof number, "%d", shared);
    execl("/proc/self/exe", arguments[0], arguments[1], number, NULL);
    need(0, "exec");
}

/* A listener in a poll set keeps its events. */
static void events(void) {
    int l = listener(5), set = epoll_create1(0);
    port = port_of(l);
    fcntl(l, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, found;
    need(!epoll_ctl(set, EPOLL_CTL_ADD, l, &event), "epoll_ctl");
    result("nothing yet", epoll_wait(set, &found, 1, 0));
    int c = connected_to(port);
    result("an edge", epoll_wait(set, &found, 1, 2000));
    result("only one", epoll_wait(set, &found, 1, 50));
    descriptor("accept", accept(l, NULL, NULL));
    descriptor("accept", accept(l, NULL, NULL));
    result("no edge", epoll_wait(set, &found, 1, 50));
    int d = connected_to(port);
    result("another edge", epoll_wait(set, &found, 1, 2000));
    descriptor("accept", accept(l, NULL, NULL));
    close(c);
    close(d);
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"plain", plain}, {"places", places}, {"strangers", strangers}, {"no_descriptors", no_descriptors},
        {"timeouts", timeouts}, {"many_threads", many_threads}, {"woken_by_shutdown", woken_by_shutdown},
        {"closed_meanwhile", closed_meanwhile}, {"closed_with_copy", closed_with_copy}, {"prefork", prefork},
        {"killed", killed}, {"events", events}, {"worker_killed", worker_killed},
        {"worker_killed_late", worker_killed_late},
    };
    alarm(25);
    if (count >= 2 && !strcmp(arguments[1], "executed")) return executed(arguments), 0;
    for (int i = 0; i < COUNT(cases); i++)
        if (count == 2 && !strcmp(arguments[1], cases[i].name)) return cases[i].run(), 0;
    return 98;
}
