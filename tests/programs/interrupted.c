/* Signals that meet threads held in connect and accept. First argument: the case. Second: a port that never answers. */
#include "results.h"

enum { THREADS = 5, SIGNALS = 20 };

static volatile int runs, returned, odd;
static int port, with_limit;
static pid_t ids[THREADS];

static void handler(int number) {
    (void)number;
    __sync_fetch_and_add(&runs, 1);
}

static void handle(int number, int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    need(!sigaction(number, &action, NULL), "sigaction");
}

static void *held(void *index) {
    int s = stream();
    ids[(long)index] = thread_id();
    while (!returned) {
        long value = connect_to(s, port);
        if (value == 0) break;
        if (errno != EINTR && errno != EALREADY) __sync_fetch_and_add(&odd, 1);
        if (errno != EINTR) nap(0.001);
    }
    return index;
}

/* Twenty signals, one after the other, to threads that are all held: twenty handler runs and no stray errno. */
static void storm(int flags) {
    pthread_t threads[THREADS];
    handle(SIGUSR1, flags);
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    for (long i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, held, (void *)i);
        while (!ids[i]) nap(0.001);
        wait_until_in(getpid(), ids[i], SYS_connect);
    }
    pthread_sigmask(SIG_BLOCK, &mine, NULL);
    double start = now();
    for (int i = 0; i < SIGNALS; i++) {
        int before = runs;
        kill(getpid(), SIGUSR1);
        for (int wait = 0; runs == before && wait < 9000; wait++) nap(0.001);
    }
    double took = now() - start;
    say("signals %d, handler runs %d, odd errnos %d, in time: %s", SIGNALS, runs, odd, took < 10 ? "yes" : "no");
    returned = 1;
    _exit(0);
}

static void storm_restart(void) { storm(SA_RESTART); }
static void storm_eintr(void) { storm(0); }

/* The same by thread, all at once. */
static void storm_by_thread(void) {
    pthread_t threads[THREADS];
    handle(SIGUSR1, SA_RESTART);
    for (long i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, held, (void *)i);
        while (!ids[i]) nap(0.001);
        wait_until_in(getpid(), ids[i], SYS_connect);
    }
    for (int round = 0; round < SIGNALS / THREADS; round++) {
        int before = runs;
        for (int i = 0; i < THREADS; i++) pthread_kill(threads[i], SIGUSR1);
        for (int wait = 0; runs < before + THREADS && wait < 3000; wait++) nap(0.001);
    }
    say("signals %d, handler runs %d, odd errnos %d", SIGNALS, runs, odd);
    _exit(0);
}

static int waiting_call(const char *call) {
    static int s = -1;
    if (s < 0) s = call[0] == 'c' ? stream() : listener(5);
    if (with_limit) {
        struct timeval limit = {20, 0};
        need(!setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "SO_SNDTIMEO");
        need(!setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
    }
    return call[0] == 'c' ? connect_to(s, port) : accept(s, NULL, NULL);
}

/* A signal ends the call with EINTR, or is handled and the call goes on until a second one ends it. */
static void alarmed(const char *call, int flags) {
    handle(SIGALRM, flags);
    handle(SIGUSR2, 0);
    await_turn();
    pid_t self = getpid(), helper = fork();
    if (!helper) {
        wait_until_in(self, self, call[0] == 'c' ? SYS_connect : SYS_accept);
        nap(0.1);
        kill(self, SIGALRM);
        nap(1.0);
        kill(self, SIGUSR2);
        _exit(0);
    }
    long value = waiting_call(call);
    int number = errno;
    kill(helper, SIGKILL);
    waitpid(helper, NULL, 0);
    errno = number;
    result(call, value);
    say("  handler runs %d", runs);
}

static void alarm_connect(void) { alarmed("connect", 0); }
static void alarm_accept(void) { alarmed("accept", 0); }
static void alarm_connect_restart(void) { alarmed("connect", SA_RESTART); }
static void alarm_accept_restart(void) { alarmed("accept", SA_RESTART); }
static void alarm_connect_limited(void) { with_limit = 1; alarmed("connect", SA_RESTART); }
static void alarm_accept_limited(void) { with_limit = 1; alarmed("accept", SA_RESTART); }

/* An interrupted connect goes on: what do the next calls say? */
static void goes_on(void) {
    handle(SIGALRM, 0);
    await_turn();
    int s = stream();
    pid_t self = getpid(), helper = fork();
    if (!helper) {
        wait_until_in(self, self, SYS_connect);
        nap(0.5);
        kill(self, SIGALRM);
        _exit(0);
    }
    result("connect", connect_to(s, port));
    waitpid(helper, NULL, 0);
    show_so_error("SO_ERROR", s);
    fcntl(s, F_SETFL, O_NONBLOCK);
    result("connect again, not waiting", connect_to(s, port));
    struct pollfd wait = {.fd = s, .events = POLLOUT};
    result("poll", poll(&wait, 1, 0));
}

/* SO_SNDTIMEO bounds connect. */
static void limited(void) {
    await_turn();
    int s = stream();
    struct timeval limit = {0, 300000};
    need(!setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "SO_SNDTIMEO");
    double start = now();
    result("connect", connect_to(s, port));
    double took = now() - start;
    say("  %s", took < 0.25 ? "too early" : took < 0.9 ? "in time" : "too late");
    result("again", connect_to(s, port));
}

/* Ignored and blocked signals change nothing; one that is unblocked is handled. */
static void unseen(void) {
    signal(SIGUSR1, SIG_IGN);
    handle(SIGUSR2, 0);
    handle(SIGALRM, 0);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    pid_t self = getpid(), helper = fork();
    if (!helper) {
        wait_until_in(self, self, SYS_accept);
        for (int i = 0; i < 10; i++) {
            kill(self, SIGUSR1);
            kill(self, SIGUSR2);
            kill(self, SIGWINCH);
            nap(0.02);
        }
        kill(self, SIGALRM);
        _exit(0);
    }
    int l = listener(5);
    descriptor("accept", accept(l, NULL, NULL));
    say("  handler runs %d", runs);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    say("  unblocked: %d", runs);
}

/* Stopped and continued, a held call goes on as if nothing had been. */
static void stopped(void) {
    pid_t self = getpid(), helper = fork();
    if (!helper) {
        wait_until_in(self, self, SYS_accept);
        for (int i = 0; i < 5; i++) {
            kill(self, SIGSTOP);
            char path[64], text[512] = "";
            snprintf(path, sizeof path, "/proc/%d/stat", self);
            double start = now();
            while (!strstr(text, ") T ") && now() - start < 5) {
                int file = open(path, O_RDONLY);
                long count = read(file, text, sizeof text - 1);
                text[count > 0 ? count : 0] = 0;
                close(file);
                nap(0.002);
            }
            say("stopped in time: %s", now() - start < 2 ? "yes" : "no");
            kill(self, SIGCONT);
            nap(0.05);
        }
        nap(0.1);
        kill(self, SIGALRM);
        _exit(0);
    }
    int l = listener(5);
    handle(SIGALRM, 0);
    descriptor("accept", accept(l, NULL, NULL));
    say("  handler runs %d", runs);
}

/* The listener is gone, the accept waits on; a signal must still be handled. */
static int shared;
static pid_t waiter;
static void *wait_in_accept(void *unused) {
    waiter = thread_id();
    descriptor("the waiting accept", accept(shared, NULL, NULL));
    return unused;
}

static void closed_then_signal(void) {
    handle(SIGUSR1, 0);
    shared = listener(5);
    pthread_t thread;
    pthread_create(&thread, NULL, wait_in_accept, NULL);
    while (!waiter) nap(0.001);
    wait_until_in(getpid(), waiter, SYS_accept);
    await_turn();
    nap(0.1);
    close(shared);
    nap(0.3);
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    say("handler runs %d", runs);
}

/* Hold still in a call and say so: for signals, terminals and debuggers from outside. */
static void hold_connect(void) {
    int s = stream();
    say("going");
    result("connect", connect_to(s, port));
}

static void hold_accept(void) {
    int l = listener(5);
    say("%d", port_of(l));
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int a = descriptor("accept", accept(l, (void *)&peer, &length));
    char text[8] = "";
    result("read", read(a, text, 3));
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"storm_restart", storm_restart}, {"storm_eintr", storm_eintr}, {"storm_by_thread", storm_by_thread},
        {"alarm_connect", alarm_connect}, {"alarm_accept", alarm_accept},
        {"alarm_connect_restart", alarm_connect_restart}, {"alarm_accept_restart", alarm_accept_restart},
        {"alarm_connect_limited", alarm_connect_limited}, {"alarm_accept_limited", alarm_accept_limited},
        {"goes_on", goes_on}, {"limited", limited}, {"unseen", unseen}, {"stopped", stopped},
        {"closed_then_signal", closed_then_signal}, {"hold_connect", hold_connect}, {"hold_accept", hold_accept},
    };
    if (count != 3) return 98;
    port = atoi(arguments[2]);
    for (int i = 0; i < COUNT(cases); i++)
        if (!strcmp(arguments[1], cases[i].name)) return cases[i].run(), 0;
    return 98;
}
