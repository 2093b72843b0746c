/* A server of root's whose workers give up rights. Arguments: the case; needs root. Free ports below 1024 are looked for. */
#include "results.h"

#include <grp.h>
#include <linux/capability.h>

static int image;  /* of this program: nobody may not be able to find it by its path */

static int low_port(void) {
    for (int number = 1023; number > 600; number--) {
        int s = stream();
        struct sockaddr_in address = loopback(number);
        int bound = bind(s, (void *)&address, sizeof address);
        close(s);
        if (!bound) return number;
    }
    return 0;
}

static void bind_to(const char *what, int number) {
    int s = stream();
    struct sockaddr_in address = loopback(number);
    result(what, bind(s, (void *)&address, sizeof address));
    close(s);
}

/* What needs a right, and what does not. */
static void ask(int number) {
    int s = stream(), value = 1;
    bind_to("bind to a low port", number);
    bind_to("bind to any port", 0);
    result("SO_MARK", setsockopt(s, SOL_SOCKET, SO_MARK, &value, sizeof value));
    result("SO_PRIORITY 7", (value = 7, setsockopt(s, SOL_SOCKET, SO_PRIORITY, &value, sizeof value)));
    result("SO_DEBUG", (value = 1, setsockopt(s, SOL_SOCKET, SO_DEBUG, &value, sizeof value)));
    result("SO_RCVBUFFORCE", setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof value));
    result("IP_TRANSPARENT", setsockopt(s, IPPROTO_IP, IP_TRANSPARENT, &value, sizeof value));
    result("SO_KEEPALIVE", setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value));
    descriptor("raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    descriptor("udp socket", socket(AF_INET, SOCK_DGRAM, 0));
    int l = listener(5), c = connected_to(port_of(l));
    show_exchange("a connection", c, accept(l, NULL, NULL));
}

static void become_nobody(void) {
    need(!setgroups(0, NULL) && !setgid(65534) && !setuid(65534), "setuid");
}

static void root(void) { ask(low_port()); }

static void in_child(void (*change)(int), int number) {
    int status;
    if (!fork()) {
        change(number);
        _exit(0);
    }
    wait(&status);
    say("ended with %d", status);
}

static void to_nobody(int number) {
    become_nobody();
    ask(number);
}

static void run_anew(const char *what, int number) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    fexecve(image, (char *[]){"worker", (char *)what, text, NULL}, environ);
    need(0, "exec");
}

static void to_nobody_and_exec(int number) {
    become_nobody();
    run_anew("ask", number);
}

static void worker(void) {
    int number = low_port();
    in_child(to_nobody, number);
    bind_to("its parent is root still", number);
}

/* A new image of a worker can be looked into again: its calls are performed with its rights. */
static void worker_executed(void) {
    int number = low_port();
    in_child(to_nobody_and_exec, number);
    bind_to("its parent is root still", number);
}

static void for_a_while(int number) {
    need(!seteuid(65534), "seteuid");
    bind_to("as nobody for a while", number);
    need(!seteuid(0), "seteuid");
    bind_to("as root again", number);
}

static void effective(void) { in_child(for_a_while, low_port()); }

static void drop(int capability, int from_all) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    need(!syscall(SYS_capget, &header, data), "capget");
    data[capability / 32].effective &= ~(1u << capability % 32);
    if (from_all) data[capability / 32].permitted &= ~(1u << capability % 32);
    need(!syscall(SYS_capset, &header, data), "capset");
}

static void without_capability(int number) {
    drop(CAP_NET_BIND_SERVICE, 0);
    bind_to("root without CAP_NET_BIND_SERVICE", number);
}

static void without_more(int number) {
    drop(CAP_NET_BIND_SERVICE, 1);
    drop(CAP_NET_ADMIN, 1);
    drop(CAP_NET_RAW, 1);
    ask(number);
}

static void capabilities(void) {
    in_child(without_capability, low_port());
    in_child(without_more, low_port());
}

/* Nobody who kept one capability. */
static void keep_one(int number) {
    need(!prctl(PR_SET_KEEPCAPS, 1), "prctl");
    need(!setgroups(0, NULL) && !setgid(65534) && !setuid(65534), "setuid");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    data[0].permitted = data[0].effective = 1u << CAP_NET_BIND_SERVICE;
    need(!syscall(SYS_capset, &header, data), "capset");
    need(!prctl(PR_SET_DUMPABLE, 1), "prctl");
    ask(number);
}

static void kept(void) { in_child(keep_one, low_port()); }

/* One thread of many gives up its rights; the others keep theirs. */
static int shared_number;
static void *thread_as_nobody(void *unused) {
    need(!syscall(SYS_setresuid, 65534, 65534, 65534), "setresuid");
    bind_to("a thread as nobody", shared_number);
    return unused;
}

static void threads(void) {
    pthread_t thread;
    shared_number = low_port();
    pthread_create(&thread, NULL, thread_as_nobody, NULL);
    pthread_join(thread, NULL);
    prctl(PR_SET_DUMPABLE, 1);
    bind_to("the first thread as root", shared_number);
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"root", root}, {"worker", worker}, {"worker_executed", worker_executed}, {"effective", effective},
        {"capabilities", capabilities}, {"kept", kept}, {"threads", threads},
    };
    image = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    need(image >= 0, "open");
    if (count == 3) return ask(atoi(arguments[2])), 0;
    for (int i = 0; i < COUNT(cases); i++)
        if (count == 2 && !strcmp(arguments[1], cases[i].name)) return cases[i].run(), 0;
    return 98;
}
