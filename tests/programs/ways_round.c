/* Ways on which a socket might get round a chain. Arguments: the case, and the port of a server that answers "abc" with "xyz". */
#include "results.h"

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int port;
static struct sockaddr_in server;

static void answer_of(const char *what, int s, long sent) {
    char back[4] = "";
    result(what, sent);
    if (sent > 0 && sent < 3) sent += write(s, "abc" + sent, 3 - sent);
    if (sent == 3) {
        long got = read(s, back, 3);
        say("  got %ld %s", got, back);
    }
    close(s);
}

static void fastopen(void) {
    struct iovec one = {"abc", 3}, parts[3] = {{"a", 1}, {"", 0}, {"bc", 2}};
    struct msghdr message = {.msg_name = &server, .msg_namelen = sizeof server, .msg_iov = &one, .msg_iovlen = 1};
    int s = stream();
    answer_of("sendto", s, sendto(s, "abc", 3, MSG_FASTOPEN, (void *)&server, sizeof server));
    s = stream();
    answer_of("sendto, more flags", s, sendto(s, "abc", 3, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&server, sizeof server));
    s = stream();
    answer_of("sendmsg", s, sendmsg(s, &message, MSG_FASTOPEN));
    message.msg_iov = parts;
    message.msg_iovlen = 3;
    s = stream();
    answer_of("sendmsg in parts", s, sendmsg(s, &message, MSG_FASTOPEN));
    s = stream();
    int deaf = deaf_port();
    struct sockaddr_in nobody = loopback(deaf);
    result("refused", sendto(s, "abc", 3, MSG_FASTOPEN, (void *)&nobody, sizeof nobody));
    s = stream();
    result("bad address", sendto(s, "abc", 3, MSG_FASTOPEN, (void *)8, sizeof server));
    result("short address", sendto(s, "abc", 3, MSG_FASTOPEN, (void *)&server, 3));
    result("connected: sendto", connect_to(s, port) ? -1 : sendto(s, "abc", 3, MSG_FASTOPEN, (void *)&server, sizeof server));
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    result("udp", sendto(u, "abc", 3, MSG_FASTOPEN, (void *)&server, sizeof server));
    result("not a socket", sendto(1, "abc", 3, MSG_FASTOPEN, (void *)&server, sizeof server));
}

/* 200,000 bytes in one call, of which the kernel takes what it likes. */
static void fastopen_large(void) {
    int l = listener(5);
    struct sockaddr_in here = loopback(port_of(l));
    static char data[200000], back[200000];
    for (int i = 0; i < COUNT(data); i++) data[i] = i * 7 + i / 256;
    if (!fork()) {
        int s = stream();
        long sent = sendto(s, data, sizeof data, MSG_FASTOPEN, (void *)&here, sizeof here), more;
        while (sent > 0 && sent < COUNT(data) && (more = write(s, data + sent, sizeof data - sent)) > 0) sent += more;
        _exit(sent == COUNT(data) ? 0 : 1);
    }
    int a = accept(l, NULL, NULL), status;
    long got = 0, more;
    while ((more = read(a, back + got, sizeof back - got)) > 0) got += more;
    wait(&status);
    say("got %ld, the same: %s, child ended with %d", got, memcmp(data, back, sizeof data) ? "no" : "yes", status);
}

/* sendmmsg may be refused as where fast open is switched off; nothing may arrive unseen. */
static void fastopen_many(void) {
    struct iovec one = {"abc", 3};
    struct mmsghdr messages[2] = {0};
    int s = stream();
    messages[0].msg_hdr = (struct msghdr){.msg_name = &server, .msg_namelen = sizeof server, .msg_iov = &one, .msg_iovlen = 1};
    result("sendmmsg", sendmmsg(s, messages, 1, MSG_FASTOPEN));
}

static void fastopen_connect(void) {
    int s = stream(), yes = 1;
    need(!setsockopt(s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &yes, sizeof yes), "TCP_FASTOPEN_CONNECT");
    result("connect", connect_to(s, port));
    answer_of("write", s, write(s, "abc", 3));
    s = stream();
    need(!setsockopt(s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &yes, sizeof yes), "TCP_FASTOPEN_CONNECT");
    result("connect to nobody", connect_to(s, deaf_port()));
    signal(SIGPIPE, SIG_IGN);
    result("write", write(s, "abc", 3));
}

static void uring(void) {
    char parameters[120] = {0};
    result("io_uring_setup", syscall(425, 8, parameters));
}

/* The numbers of x32, which another kernel might have. */
static void x32(void) {
#ifdef __x86_64__
    static const int numbers[] = {41, 42, 43, 44, 46, 49, 288, 519, 537, 538, 541, 542, 307, 425};
    for (int i = 0; i < COUNT(numbers); i++)
        result("an x32 call", syscall(0x40000000 | numbers[i], AF_INET, SOCK_STREAM, 0, 0, 0, 0));
#endif
}

static void mptcp(void) {
    int s = descriptor("mptcp socket", socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
    if (s < 0) descriptor("ipv6", socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP));
    s = stream();
    result("and so tcp", connect_to(s, port));
    answer_of("write", s, write(s, "abc", 3));
}

/* What no chain carries, but everybody may have. */
static void datagrams(void) {
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    struct sockaddr_in any = loopback(0);
    need(!bind(b, (void *)&any, sizeof any), "bind");
    struct sockaddr_in to = loopback(port_of(b)), from;
    socklen_t length = sizeof from;
    char text[8] = "";
    result("sendto", sendto(a, "abc", 3, 0, (void *)&to, sizeof to));
    result("recvfrom", recvfrom(b, text, sizeof text, 0, (void *)&from, &length));
    result("connect", connect(a, (void *)&to, sizeof to));
    result("send", send(a, "def", 3, 0));
    result("recv", recv(b, text, sizeof text, 0));
    struct iovec one = {"ghi", 3};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = &one, .msg_iovlen = 1}}};
    result("sendmmsg", sendmmsg(a, messages, 2, 0));
    int six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 to6 = loopback6(9);
    result("ipv6 connect", connect(six, (void *)&to6, sizeof to6));
}

static void raw(void) {
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    descriptor("raw", s);
    int p = socket(AF_PACKET, SOCK_DGRAM, 0);
    descriptor("packet", p);
}

int main(int count, char **arguments) {
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"fastopen", fastopen}, {"fastopen_large", fastopen_large}, {"fastopen_many", fastopen_many},
        {"fastopen_connect", fastopen_connect}, {"uring", uring}, {"x32", x32}, {"mptcp", mptcp},
        {"datagrams", datagrams}, {"raw", raw},
    };
    if (count != 3) return 98;
    port = atoi(arguments[2]);
    server = loopback(port);
    alarm(25);
    for (int i = 0; i < COUNT(cases); i++)
        if (!strcmp(arguments[1], cases[i].name)) return cases[i].run(), 0;
    return 98;
}
