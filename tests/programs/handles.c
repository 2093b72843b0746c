/* Sockets that travel: duplicated, inherited, passed on, used by unusual threads and processes.
 *
 * Arguments: the case, and the port of a server that answers "abc" with "xyz" and shows where each connection comes from
 * by its bytes. Each case makes one connection, or says how many.
 */
#include "results.h"

static int port;
static char *self;

/* One connection from wherever we are, on this socket. */
static void use(const char *what, int s) {
    char back[4] = "";
    result(what, connect_to(s, port));
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (!getpeername(s, (void *)&peer, &length)) show_address("  peer", &peer, length, port);
    long sent = write(s, "abc", 3), got = read(s, back, 3);
    say("  sent %ld, got %ld %s", sent, got, back);
    close(s);
}

static void duplicated(void) {
    int s = stream(), copy = dup(s), high = fcntl(s, F_DUPFD_CLOEXEC, 100), two = dup2(s, 55);
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    close(s);
    result("connect on a duplicate", connect_to(copy, port));
    result("the other duplicate is connected", getpeername(high, (void *)&peer, &length));
    result("connect again on a third", connect_to(two, port));
    close(copy);
    close(two);
    char back[4] = "";
    result("write on what is left", write(high, "abc", 3));
    result("read", read(high, back, 3));
}

static void forked(void) {
    int s = stream(), status;
    if (!fork()) {
        use("connect in the child, on its parent's socket", s);
        _exit(7);
    }
    wait(&status);
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    say("child ended with %d", WEXITSTATUS(status));
    result("the parent's socket has a peer", getpeername(s, (void *)&peer, &length));
}

static void executed(void) {
    int s = stream();
    char number[16];
    snprintf(number, sizeof number, "%d", s);
    char text[16];
    snprintf(text, sizeof text, "%d", port);
    execl(self, "renamed", "use", text, number, NULL);
    need(0, "exec");
}

static void pass_on(int channel, int s) {
    char byte = 'x', room[CMSG_SPACE(sizeof s)] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof s);
    memcpy(CMSG_DATA(control), &s, sizeof s);
    need(sendmsg(channel, &message, 0) == 1, "sendmsg");
}

static int take(int channel) {
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    int s;
    need(recvmsg(channel, &message, 0) == 1, "recvmsg");
    memcpy(&s, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof s);
    return s;
}

/* A socket goes to another process, is connected there, comes back and is used here. */
static void passed(void) {
    int pair[2], status;
    need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    if (!fork()) {
        close(pair[0]);
        int s = take(pair[1]);
        result("connect in the other process", connect_to(s, port));
        pass_on(pair[1], s);
        _exit(0);
    }
    close(pair[1]);
    int mine = stream();
    pass_on(pair[0], mine);
    close(mine);
    int s = take(pair[0]);
    wait(&status);
    char back[4] = "";
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    result("its peer, here", getpeername(s, (void *)&peer, &length));
    result("write", write(s, "abc", 3));
    result("read", read(s, back, 3));
}

/* A listener goes to another process, which accepts. */
static void listener_passed(void) {
    int pair[2], status;
    need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    if (!fork()) {
        close(pair[0]);
        int a = descriptor("accept in the other process", accept(take(pair[1]), NULL, NULL));
        need(write(a, "hello", 5) == 5, "write");
        _exit(0);
    }
    int l = listener(5), own = port_of(l);
    pass_on(pair[0], l);
    close(l);
    int c = connected_to(own);
    char text[8] = "";
    result("read", read(c, text, 5));
    wait(&status);
    use("and a connection", stream());
}

/* A thread with descriptors of its own: the same number is another socket there. */
static void *apart(void *number) {
    need(!unshare(CLONE_FILES), "unshare");
    int s = *(int *)number;
    close(s);
    int mine = stream();
    say("the same number: %s", mine == s ? "yes" : "no");
    use("connect in a thread with descriptors of its own", mine);
    return number;
}

static void own_files(void) {
    int s = stream();
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    pthread_t thread;
    pthread_create(&thread, NULL, apart, &s);
    pthread_join(thread, NULL);
    result("the first thread's socket has a peer", getpeername(s, (void *)&peer, &length));
    use("and is connected now", s);
}

static void *after_main(void *main_id) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", getpid());
    for (int i = 0; i < 2000; i++) {  /* until the first thread is a zombie */
        int file = open(path, O_RDONLY);
        long count = read(file, text, sizeof text - 1);
        close(file);
        text[count > 0 ? count : 0] = 0;
        if (strstr(text, ") Z ")) break;
        nap(0.002);
    }
    say("the first thread has ended: %s", strstr(text, ") Z ") ? "yes" : "no");
    use("connect", stream());
    int l = listener(5), c = connected_to(port_of(l));
    show_exchange("accept", c, accept(l, NULL, NULL));
    exit(5);
    return main_id;
}

static void no_leader(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, after_main, NULL);
    pthread_exit(NULL);
}

static void vforked(void) {
    char text[16];
    int status;
    snprintf(text, sizeof text, "%d", port);
    pid_t child = vfork();
    if (!child) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (connect_to(s, port)) _exit(1);
        if (write(s, "abc", 3) != 3) _exit(2);
        execl(self, "renamed", "use", text, "-1", NULL);
        _exit(3);
    }
    need(waitpid(child, &status, 0) == child, "waitpid");
    say("the vforked child ended with %d", status);
}

static void threads_at_once(void) {
    enum { COUNT_OF = 32 };
    extern void *use_quietly(void *);
    pthread_t threads[COUNT_OF];
    long good = 0;
    void *value;
    for (int i = 0; i < COUNT_OF; i++) pthread_create(&threads[i], NULL, use_quietly, NULL);
    for (int i = 0; i < COUNT_OF; i++) {
        pthread_join(threads[i], &value);
        good += value != NULL;
    }
    say("32 threads, good connections: %ld", good);
}

void *use_quietly(void *unused) {
    int s = stream();
    char back[4] = "";
    (void)unused;
    if (connect_to(s, port) || write(s, "abc", 3) != 3 || read(s, back, 3) != 3) return NULL;
    close(s);
    return &port;
}

/* 50 processes at once, each with a connection. */
static void many_processes(void) {
    int good = 0, status;
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        need(child >= 0, "fork");
        if (!child) _exit(use_quietly(NULL) ? 0 : 1);
    }
    while (wait(&status) > 0) good += status == 0;
    say("50 processes, good connections: %d", good);
}

/* Namespaces: where the kernel forbids them, the program says so and ends with 77. */
static void enter(int flags) {
    if (!unshare(flags)) return;
    fprintf(stderr, "unshare is forbidden: %s\n", error_name(errno));
    exit(77);
}

static void user_namespace(void) {
    enter(CLONE_NEWUSER);
    use("in a new user namespace", stream());
    int s = stream();
    struct sockaddr_in low = loopback(81);
    int bound = bind(s, (void *)&low, sizeof low);
    say("bind to port 81: %s", bound ? error_name(errno) : "0");
}

static void pid_namespace(void) {
    int status;
    enter(CLONE_NEWUSER | CLONE_NEWPID);
    if (!fork()) {
        say("my number here: %d", getpid());
        use("in a new pid namespace", stream());
        _exit(3);
    }
    wait(&status);
    say("it ended with %d", WEXITSTATUS(status));
}

static void network_namespace(void) {
    enter(CLONE_NEWUSER | CLONE_NEWNET);
    int s = stream();
    result("in a new network namespace", connect_to(s, port));
    struct sockaddr_in any = {.sin_family = AF_INET};
    s = stream();
    result("bind", bind(s, (void *)&any, sizeof any));
    result("listen", listen(s, 5));
    show_so_error("SO_ERROR", s);
}

/* A process that cannot be read (unless one may trace everything). */
static void not_dumpable(void) {
    need(!prctl(PR_SET_DUMPABLE, 0), "prctl");
    use("not dumpable", stream());
}

/* The double fork of daemons: the starter ends at once, the daemon connects when told to by the end of a file. */
static void daemonised(char *go) {
    if (!fork()) {
        setsid();
        if (!fork()) {
            for (int i = 0; access(go, F_OK) && i < 5000; i++) nap(0.005);
            int quiet = open("/dev/null", O_RDWR);
            dup2(quiet, 0);
            dup2(quiet, 1);
            dup2(quiet, 2);
            use("later", stream());
        }
        _exit(0);
    }
    wait(NULL);
    say("started");
}

/* Things that look like sockets, or are, and are none of ours: all as without us. */
static void bystanders(void) {
    int pipes[2], pair[2], n = socket(AF_NETLINK, SOCK_RAW, 0), status;
    char text[8] = "", path[64];
    need(!pipe(pipes) && !socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), "pipe");
    if (!fork()) {
        dup2(pipes[1], 1);
        execlp("echo", "echo", "words", NULL);
        _exit(1);
    }
    wait(&status);
    result("through a pipe", read(pipes[0], text, 6));
    result("unix datagram", send(pair[0], "abc", 3, 0));
    result("arrives", recv(pair[1], text, sizeof text, 0));
    struct sockaddr_storage netlink = {.ss_family = AF_NETLINK};
    result("netlink bind", bind(n, (void *)&netlink, 12));
    socklen_t length = sizeof netlink;
    result("netlink name", getsockname(n, (void *)&netlink, &length));
    snprintf(path, sizeof path, "bystander-%d", getpid());
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    strcpy(here.sun_path, path);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    result("unix bind by a relative path", bind(l, (void *)&here, sizeof here));
    result("unix listen", listen(l, 5));
    result("unix connect", connect(c, (void *)&here, sizeof here));
    unlink(path);
    show_exchange("unix bytes", c, descriptor("unix accept", accept(l, NULL, NULL)));
    strcpy(here.sun_path, "/nonexistent/socket");
    result("unix connect to nothing", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&here, sizeof here));
    struct sockaddr_un abstract = {.sun_family = AF_UNIX};
    snprintf(abstract.sun_path + 1, 60, "bystander-%d", getpid());
    int al = socket(AF_UNIX, SOCK_SEQPACKET, 0), ac = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    result("abstract bind", bind(al, (void *)&abstract, 40));
    result("abstract listen", listen(al, 5));
    result("abstract connect", connect(ac, (void *)&abstract, 40));
    use("and a connection", stream());
}

/* The peer sees our end at once after close, and after exit. */
static void closes(void) {
    int l = listener(5), c = connected_to(port_of(l)), a = accept(l, NULL, NULL);
    char byte;
    struct pollfd wait = {.fd = a, .events = POLLIN};
    close(c);
    double start = now();
    result("the peer of a closed socket wakes", poll(&wait, 1, 5000));
    say("  at once: %s", now() - start < 1 ? "yes" : "no");
    result("  its end", read(a, &byte, 1));
    for (int i = 0; i < 20; i++) {
        int d = connected_to(port_of(l)), b = accept(l, NULL, NULL);
        close(b);
        start = now();
        if (read(d, &byte, 1) != 0 || now() - start > 1) say("  a late end");
        close(d);
    }
    pid_t child = fork();
    if (!child) {
        connected_to(port_of(l));
        _exit(0);
    }
    a = accept(l, NULL, NULL);
    waitpid(child, NULL, 0);
    wait.fd = a;
    result("the peer of a process that has ended wakes", poll(&wait, 1, 5000));
    result("  its end", read(a, &byte, 1));
}

/* Many connections, all closed; then wait for a line of input. */
static void many_connections(void) {
    int l = listener(64), good = 0;
    char byte;
    for (int i = 0; i < 500; i++) {
        int c = connected_to(port_of(l)), a = accept(l, NULL, NULL);
        good += write(c, "x", 1) == 1 && read(a, &byte, 1) == 1;
        close(c);
        close(a);
    }
    close(l);
    int left = connected_to(port);
    say("500 connections, good: %d", good);
    need(read(0, &byte, 1) == 0, "input");
    need(write(left, "abc", 3) == 3, "write");
    close(left);
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"duplicated", duplicated}, {"forked", forked}, {"executed", executed}, {"passed", passed},
        {"listener_passed", listener_passed}, {"own_files", own_files}, {"no_leader", no_leader},
        {"vforked", vforked}, {"threads_at_once", threads_at_once}, {"many_processes", many_processes},
        {"user_namespace", user_namespace}, {"pid_namespace", pid_namespace},
        {"network_namespace", network_namespace}, {"not_dumpable", not_dumpable}, {"bystanders", bystanders},
        {"closes", closes}, {"many_connections", many_connections},
    };
    if (count < 3) return 98;
    static char path[4096];
    need(readlink("/proc/self/exe", path, sizeof path - 1) > 0, "readlink");
    self = path;
    port = atoi(arguments[2]);
    if (!strcmp(arguments[1], "use")) return use("in a new image", atoi(arguments[3]) < 0 ? stream() : atoi(arguments[3])), 0;
    if (!strcmp(arguments[1], "daemonised")) return daemonised(arguments[3]), 0;
    for (int i = 0; i < COUNT(cases); i++)
        if (!strcmp(arguments[1], cases[i].name)) return cases[i].run(), 0;
    return 98;
}
