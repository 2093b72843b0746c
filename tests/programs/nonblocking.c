/* Connects that do not wait. First argument: the case. */
#include "results.h"

static int hole;      /* a listener whose queue is full: what comes is dropped, and sent again after a second */
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

/* Let the next one in: nobody else waits outside. */
static void make_room(void) {
    for (int i = 0; i < COUNT(fillers); i++) close(fillers[i]);
    fcntl(hole, F_SETFL, O_NONBLOCK);
    for (int a; (a = accept(hole, NULL, NULL)) >= 0;) close(a);
}

static int quick(void) {
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    need(s >= 0, "socket");
    return s;
}

static void events_of(const char *what, int set, int timeout) {
    struct epoll_event found[4];
    int count = epoll_wait(set, found, 4, timeout);
    if (count == 1) say("%s: 1, %s%s%s%s", what, found[0].events & EPOLLIN ? "in " : "",
                        found[0].events & EPOLLOUT ? "out " : "", found[0].events & EPOLLERR ? "err " : "",
                        found[0].events & EPOLLHUP ? "hup" : "");
    else say("%s: %d", what, count);
}

static int edges(int s) {
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    need(!epoll_ctl(set, EPOLL_CTL_ADD, s, &event), "epoll_ctl");
    events_of("a fresh socket", set, 0);
    return set;
}

static void at_once(void) {
    int l = listener(5), s = quick(), set = edges(s), port = port_of(l);
    result("connect", connect_to(s, port));
    events_of("an edge", set, 2000);
    show_so_error("SO_ERROR", s);
    show_so_error("SO_ERROR again", s);
    result("second connect", connect_to(s, port));
    result("third connect", connect_to(s, port));
    events_of("no further edge", set, 50);
    show_exchange("bytes", s, accept(l, NULL, NULL));
    s = quick();
    result("refused", connect_to(s, deaf_port()));
    struct pollfd wait = {.fd = s, .events = POLLOUT};
    say("poll: %d %#x", poll(&wait, 1, 2000), wait.revents);
    show_so_error("SO_ERROR", s);
    show_so_error("SO_ERROR again", s);
    result("the same socket connects", connect_to(s, port));
    wait.revents = 0;
    say("poll: %d %#x", poll(&wait, 1, 2000), wait.revents);
    show_so_error("SO_ERROR", s);
}

/* Pending, then room is made: it succeeds at the second try of the kernel's. */
static void succeeds(void) {
    int port = make_hole(), s = quick(), set = edges(s);
    result("connect", connect_to(s, port));
    events_of("pending", set, 50);
    show_so_error("SO_ERROR", s);
    result("second connect", connect_to(s, port));
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    result("getpeername", getpeername(s, (void *)&peer, &length));
    result("write", write(s, "abc", 3));
    make_room();
    events_of("an edge", set, 8000);
    events_of("no further edge", set, 50);
    show_so_error("SO_ERROR", s);
    result("second connect", connect_to(s, port));
    result("third connect", connect_to(s, port));
    result("getpeername", getpeername(s, (void *)&peer, &length));
    result("write", write(s, "abc", 3));
}

/* Pending, then the listener goes: the next try of the kernel's is refused. */
static int refused_later(int *set) {
    int port = make_hole(), s = quick();
    *set = edges(s);
    result("connect", connect_to(s, port));
    events_of("pending", *set, 50);
    close(hole);
    events_of("an edge", *set, 8000);
    events_of("no further edge", *set, 50);
    return s;
}

static void error_by_option(void) {
    int set, s = refused_later(&set);
    struct pollfd wait = {.fd = s, .events = POLLOUT | POLLIN};
    poll(&wait, 1, 0);
    say("poll: %#x", wait.revents);
    show_so_error("SO_ERROR", s);
    show_so_error("SO_ERROR again", s);
    int l = listener(5);
    result("the next connect", connect_to(s, port_of(l)));
    result("the one after it", connect_to(s, port_of(l)));
    events_of("an edge", set, 2000);
    show_exchange("bytes", s, accept(l, NULL, NULL));
}

static void error_by_connect(void) {
    int set, s = refused_later(&set), l = listener(5);
    result("connect tells", connect_to(s, port_of(l)));
    show_so_error("SO_ERROR has nothing left", s);
    result("connect", connect_to(s, port_of(l)));
    show_exchange("bytes", s, accept(l, NULL, NULL));
}

static void error_by_read(void) {
    int set, s = refused_later(&set);
    char byte;
    result("read tells", read(s, &byte, 1));
    result("read again", read(s, &byte, 1));
    signal(SIGPIPE, SIG_IGN);
    result("write", write(s, "x", 1));
    show_so_error("SO_ERROR has nothing left", s);
}

static void error_in_child(void) {
    int set, s = refused_later(&set), status;
    if (!fork()) {
        show_so_error("SO_ERROR in the child", s);
        _exit(0);
    }
    wait(&status);
    show_so_error("SO_ERROR in the parent", s);
}

/* A blocking connect in one thread, and another that asks. */
static int shared, shared_port;
static volatile pid_t waiter;
static void *connect_shared(void *unused) {
    waiter = thread_id();
    long value = connect_to(shared, shared_port);
    result("the waiting connect", value);
    return unused;
}

static pthread_t start_connect(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, connect_shared, NULL);
    while (!waiter) nap(0.001);
    wait_until_in(getpid(), waiter, SYS_connect);
    await_turn();
    nap(0.3);
    return thread;
}

static void two_threads(void) {
    shared_port = make_hole();
    shared = stream();
    pthread_t thread = start_connect();
    show_so_error("SO_ERROR meanwhile", shared);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    result("getpeername meanwhile", getpeername(shared, (void *)&name, &length));
    result("getsockname meanwhile", getsockname(shared, (void *)&name, &length));
    double start = now();
    int other = stream(), l = listener(5);
    result("another connect meanwhile", connect_to(other, port_of(l)));
    say("at once: %s", now() - start < 1 ? "yes" : "no");
    make_room();
    pthread_join(thread, NULL);
}

/* shutdown ends a connect that waits. */
static void shut_down(void) {
    shared_port = make_hole();
    shared = stream();
    pthread_t thread = start_connect();
    int ended = shutdown(shared, SHUT_RDWR), number = errno;
    pthread_join(thread, NULL);
    errno = number;
    result("shutdown", ended);
}

static void closed_while_pending(void) {
    int s = quick();
    result("connect", connect_to(s, make_hole()));
    result("close", close(s));
    s = quick();
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    result("connect", connect_to(s, port_of(hole)));
    result("to nobody", connect(s, &nobody, sizeof nobody));
    int l = listener(5);
    result("and elsewhere", connect_to(s, port_of(l)));
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"at_once", at_once}, {"succeeds", succeeds}, {"error_by_option", error_by_option},
        {"error_by_connect", error_by_connect}, {"error_by_read", error_by_read},
        {"error_in_child", error_in_child}, {"two_threads", two_threads}, {"shut_down", shut_down},
        {"closed_while_pending", closed_while_pending},
    };
    alarm(25);
    for (int i = 0; i < COUNT(cases); i++)
        if (count == 2 && !strcmp(arguments[1], cases[i].name)) return cases[i].run(), 0;
    return 98;
}
