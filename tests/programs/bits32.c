/* A program of the 32-bit kind, without a C library: socket calls by their own numbers and by socketcall, and others. */

static long call(long number, long a, long b, long c) {
    long value;
    __asm__ volatile("int $0x80" : "=a"(value) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return value;
}

static void show(const char *what, long value) {
    char text[64];
    int length = 0, digits = 0;
    char number[16];
    while (what[length]) text[length] = what[length], length++;
    if (value < 0) text[length++] = '-', value = -value;
    do number[digits++] = '0' + value % 10; while (value /= 10);
    while (digits) text[length++] = number[--digits];
    text[length++] = '\n';
    call(4, 1, (long)text, length);
}

void _start(void) {
    static long arguments[3] = {2, 1, 0};
    show("socketcall ", call(102, 1, (long)arguments, 0));
    show("socket ", call(359, 2, 1, 0));
    show("connect ", call(362, 0, 0, 0));
    show("io_uring_setup ", call(425, 1, 0, 0));
    show("getpid is positive ", call(20, 0, 0, 0) > 0);
    call(1, 7, 0, 0);
}
