/* The calls that every trapped system call costs, made from C, the guard that every function of a layer's has, and the
   record of a handle: see winsock/host, which has a Python twin of each.

   Nothing is decided here. A function makes one or two calls of the kernel and hands on what it said; errors are
   OSError with the kernel's errno. The lock of the interpreter is given up only where the kernel may wait. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { NOTHING = 0, EVENT = 1, HUNG_UP = -1 };

static PyObject *os_error(void) { return PyErr_SetFromErrno(PyExc_OSError); }

static PyObject *call_of(const struct seccomp_notif *request) {
    const struct seccomp_data *data = &request->data;
    return Py_BuildValue("KIiI(KKKKKK)", (unsigned long long)request->id, request->pid, data->nr, data->arch,
                         (unsigned long long)data->args[0], (unsigned long long)data->args[1],
                         (unsigned long long)data->args[2], (unsigned long long)data->args[3],
                         (unsigned long long)data->args[4], (unsigned long long)data->args[5]);
}

static PyObject *hot_receive(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    struct seccomp_notif request;
    struct pollfd watched[2] = {{.events = POLLIN}, {.events = POLLIN}};
    int ready, answer = NOTHING;
    if (count != 2) return PyErr_Format(PyExc_TypeError, "receive takes two descriptors");
    watched[0].fd = PyLong_AsLong(arguments[0]);
    watched[1].fd = PyLong_AsLong(arguments[1]);
    if (PyErr_Occurred()) return NULL;
    memset(&request, 0, sizeof request);
    Py_BEGIN_ALLOW_THREADS
    ready = poll(watched, 2, -1);
    if (ready > 0) {
        if (watched[0].revents & POLLIN)
            answer = ioctl(watched[0].fd, SECCOMP_IOCTL_NOTIF_RECV, &request) ? -2 : 2;
        else if (watched[1].revents)
            answer = EVENT;
        else if (watched[0].revents & (POLLHUP | POLLNVAL))
            answer = HUNG_UP; /* not POLLERR: so the kernel says that our wake-up signal came while it looked */
    } else if (ready < 0)
        answer = -2;
    Py_END_ALLOW_THREADS
    if (answer == 2) return call_of(&request);
    if (answer == -2) {
        if (errno != EINTR && errno != ENOENT) return os_error();
        answer = NOTHING;
    }
    return PyLong_FromLong(answer);
}

/* Our wake-up signal may interrupt these before they do anything: then they are to be made again. */
static int ioctl_again(int listener, unsigned long request, void *argument) {
    int value;
    do value = ioctl(listener, request, argument);
    while (value < 0 && errno == EINTR);
    return value;
}

static PyObject *hot_answer(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    struct seccomp_notif_resp response;
    int listener;
    if (count != 5) return PyErr_Format(PyExc_TypeError, "answer takes listener, id, value, error, flags");
    listener = PyLong_AsLong(arguments[0]);
    response.id = PyLong_AsUnsignedLongLong(arguments[1]);
    response.val = PyLong_AsLongLong(arguments[2]);
    response.error = PyLong_AsLong(arguments[3]);
    response.flags = PyLong_AsUnsignedLong(arguments[4]);
    if (PyErr_Occurred()) return NULL;
    if (!ioctl_again(listener, SECCOMP_IOCTL_NOTIF_SEND, &response)) Py_RETURN_TRUE;
    if (errno == ENOENT || errno == EINPROGRESS || errno == ESRCH) Py_RETURN_FALSE;
    return os_error();
}

static PyObject *hot_valid(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    uint64_t id;
    int listener;
    if (count != 2) return PyErr_Format(PyExc_TypeError, "valid takes listener and id");
    listener = PyLong_AsLong(arguments[0]);
    id = PyLong_AsUnsignedLongLong(arguments[1]);
    if (PyErr_Occurred()) return NULL;
    return PyBool_FromLong(ioctl_again(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0);
}

static PyObject *hot_take(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    long pidfd, descriptor, taken;
    if (count != 2) return PyErr_Format(PyExc_TypeError, "take takes pidfd and descriptor");
    pidfd = PyLong_AsLong(arguments[0]);
    descriptor = PyLong_AsLong(arguments[1]);
    if (PyErr_Occurred()) return NULL;
    taken = syscall(SYS_pidfd_getfd, pidfd, descriptor, 0);
    if (taken < 0) return os_error();
    if (getsockopt((int)taken, SOL_SOCKET, SO_COOKIE, &cookie, &size)) {
        int error = errno;
        close((int)taken);
        errno = error;
        return os_error();
    }
    return Py_BuildValue("iK", (int)taken, (unsigned long long)cookie);
}

static PyObject *hot_kind(PyObject *self, PyObject *argument) {
    static const int options[3] = {SO_DOMAIN, SO_TYPE, SO_PROTOCOL};
    int values[3];
    int descriptor = PyLong_AsLong(argument);
    if (descriptor == -1 && PyErr_Occurred()) return NULL;
    for (int i = 0; i < 3; i++) {
        socklen_t size = sizeof values[i];
        if (getsockopt(descriptor, SOL_SOCKET, options[i], &values[i], &size)) return os_error();
    }
    return Py_BuildValue("iii", values[0], values[1], values[2]);
}

static PyObject *hot_network(PyObject *self, PyObject *argument) {
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    int descriptor = PyLong_AsLong(argument);
    if (descriptor == -1 && PyErr_Occurred()) return NULL;
    if (getsockopt(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size)) return os_error();
    return PyLong_FromUnsignedLongLong(cookie);
}

static PyObject *hot_read_memory(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    struct iovec here, there;
    PyObject *copy;
    ssize_t moved;
    pid_t thread;
    if (count != 3) return PyErr_Format(PyExc_TypeError, "read_memory takes thread, address, length");
    thread = PyLong_AsLong(arguments[0]);
    there.iov_base = (void *)(uintptr_t)PyLong_AsUnsignedLongLong(arguments[1]);
    here.iov_len = there.iov_len = PyLong_AsSize_t(arguments[2]);
    if (PyErr_Occurred()) return NULL;
    copy = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)here.iov_len);
    if (!copy) return NULL;
    here.iov_base = PyBytes_AS_STRING(copy);
    moved = process_vm_readv(thread, &here, 1, &there, 1, 0);
    if (moved == (ssize_t)here.iov_len) return copy;
    Py_DECREF(copy);
    if (moved >= 0) errno = EFAULT;
    return os_error();
}

static PyObject *hot_write_memory(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    struct iovec here, there;
    Py_buffer data;
    ssize_t moved;
    pid_t thread;
    if (count != 3) return PyErr_Format(PyExc_TypeError, "write_memory takes thread, address, data");
    thread = PyLong_AsLong(arguments[0]);
    there.iov_base = (void *)(uintptr_t)PyLong_AsUnsignedLongLong(arguments[1]);
    if (PyErr_Occurred() || PyObject_GetBuffer(arguments[2], &data, PyBUF_SIMPLE)) return NULL;
    here.iov_base = data.buf;
    here.iov_len = there.iov_len = (size_t)data.len;
    moved = process_vm_writev(thread, &here, 1, &there, 1, 0);
    PyBuffer_Release(&data);
    if (moved == (ssize_t)here.iov_len) Py_RETURN_NONE;
    if (moved >= 0) errno = EFAULT;
    return os_error();
}

static PyObject *hot_connect(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Py_buffer address;
    int descriptor, result;
    if (count != 2) return PyErr_Format(PyExc_TypeError, "connect takes descriptor and address");
    descriptor = PyLong_AsLong(arguments[0]);
    if ((descriptor == -1 && PyErr_Occurred()) || PyObject_GetBuffer(arguments[1], &address, PyBUF_SIMPLE)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    result = connect(descriptor, address.buf, (socklen_t)address.len) ? errno : 0;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&address);
    return PyLong_FromLong(result);
}

static PyObject *hot_name(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int descriptor, peer;
    if (count != 2) return PyErr_Format(PyExc_TypeError, "name takes descriptor and whether the peer's is meant");
    descriptor = PyLong_AsLong(arguments[0]);
    peer = PyObject_IsTrue(arguments[1]);
    if (PyErr_Occurred()) return NULL;
    if ((peer ? getpeername : getsockname)(descriptor, (struct sockaddr *)&address, &size)) return os_error();
    return PyBytes_FromStringAndSize((const char *)&address, size < sizeof address ? size : sizeof address);
}

static PyObject *hot_make(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    int kind[3], descriptor, inheritable;
    if (count != 2 || !PyTuple_Check(arguments[0]) || PyTuple_GET_SIZE(arguments[0]) != 3)
        return PyErr_Format(PyExc_TypeError, "make takes (family, type, protocol) and whether a child has it too");
    for (int i = 0; i < 3; i++) kind[i] = PyLong_AsLong(PyTuple_GET_ITEM(arguments[0], i));
    inheritable = PyObject_IsTrue(arguments[1]);
    if (PyErr_Occurred()) return NULL;
    descriptor = socket(kind[0], kind[1] | (inheritable ? 0 : SOCK_CLOEXEC), kind[2]);
    return descriptor < 0 ? os_error() : PyLong_FromLong(descriptor);
}

/* Device and inode of what a descriptor stands for; 0, or -1 with errno. */
static int file_of(long descriptor, uint64_t file[2]) {
    struct stat status;
    if (descriptor != (int)descriptor) return errno = EBADF, -1;
    if (fstat((int)descriptor, &status)) return -1;
    file[0] = status.st_dev;
    file[1] = status.st_ino;
    return 0;
}

static PyObject *hot_same(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    uint64_t file[2];
    long descriptor;
    if (count != 2 || !PyBytes_Check(arguments[1]))
        return PyErr_Format(PyExc_TypeError, "same takes descriptor and identity");
    descriptor = PyLong_AsLong(arguments[0]);
    if (descriptor == -1 && PyErr_Occurred()) return NULL;
    if (PyBytes_GET_SIZE(arguments[1]) != sizeof file || file_of(descriptor, file)) Py_RETURN_FALSE;
    return PyBool_FromLong(!memcmp(file, PyBytes_AS_STRING(arguments[1]), sizeof file));
}

static PyObject *hot_identity(PyObject *self, PyObject *argument) {
    uint64_t file[2];
    long descriptor = PyLong_AsLong(argument);
    if (descriptor == -1 && PyErr_Occurred()) return NULL;
    if (file_of(descriptor, file)) return os_error();
    return PyBytes_FromStringAndSize((const char *)file, sizeof file);
}

static PyObject *hot_close_each(PyObject *self, PyObject *descriptors) {
    Py_ssize_t count;
    if (!PyList_Check(descriptors)) return PyErr_Format(PyExc_TypeError, "close_each takes a list");
    count = PyList_GET_SIZE(descriptors);
    for (Py_ssize_t i = 0; i < count; i++) {
        int descriptor = PyLong_AsLong(PyList_GET_ITEM(descriptors, i));
        if (descriptor == -1 && PyErr_Occurred()) return NULL;
        close(descriptor);
    }
    Py_RETURN_NONE;
}

/* A function as a slot: see `pure.guarded`. Its arguments go on as they came. */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *function, *passing, *refused;
    PyObject *kind, *parts, *check; /* NULL where any answer will do */
} Guard;

/* The exception that stands becomes the one that `refused` answers with, which follows from it, or raises. */
static void refuse(Guard *guard) {
    PyObject *kind, *error, *traceback, *refusal;
    PyErr_Fetch(&kind, &error, &traceback);
    PyErr_NormalizeException(&kind, &error, &traceback);
    if (traceback) PyException_SetTraceback(error, traceback);
    refusal = PyObject_CallOneArg(guard->refused, error);
    if (refusal) {
        Py_INCREF(error);
        PyException_SetContext(refusal, error);
        Py_INCREF(error);
        PyException_SetCause(refusal, error);
        PyErr_SetObject((PyObject *)Py_TYPE(refusal), refusal);
        Py_DECREF(refusal);
    }
    Py_XDECREF(kind);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
}

/* Whether each item of a tuple is of one of the kinds that its part is of. */
static int are_usual(PyObject *parts, PyObject *answer) {
    Py_ssize_t size = PyTuple_GET_SIZE(parts);
    if (PyTuple_GET_SIZE(answer) != size || size == 0) return 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *kinds = PyTuple_GET_ITEM(parts, i), *kind = (PyObject *)Py_TYPE(PyTuple_GET_ITEM(answer, i));
        Py_ssize_t at = PyTuple_GET_SIZE(kinds);
        while (at && PyTuple_GET_ITEM(kinds, at - 1) != kind) at--;
        if (!at) return 0;
    }
    return 1;
}

/* Whether an answer is what is expected, as far as that is seen at a glance; else `check` looks at it. */
static int is_usual(Guard *guard, PyObject *answer) {
    PyObject *number = answer;
    if ((PyObject *)Py_TYPE(answer) != guard->kind) return 0;
    if (PyTuple_CheckExact(answer)) {
        if (!are_usual(guard->parts, answer)) return 0;
        number = PyTuple_GET_ITEM(answer, 0);
    }
    if (PyLong_CheckExact(number) && PyLong_AsLongLong(number) < 0) {
        PyErr_Clear();
        return 0;
    }
    return 1;
}

static PyObject *checked(Guard *guard, PyObject *answer, Py_ssize_t count) {
    PyObject *fine = PyObject_CallFunction(guard->check, "On", answer, count);
    if (fine) {
        Py_DECREF(fine);
        return answer;
    }
    Py_DECREF(answer);
    return NULL;
}

static PyObject *guard_call(PyObject *self, PyObject *const *arguments, size_t count, PyObject *names) {
    Guard *guard = (Guard *)self;
    PyObject *result = PyObject_Vectorcall(guard->function, arguments, count, names);
    if (result && guard->kind && !is_usual(guard, result))
        result = checked(guard, result, PyVectorcall_NARGS(count) + (names ? PyTuple_GET_SIZE(names) : 0));
    if (!result && !PyErr_ExceptionMatches(guard->passing)) refuse(guard);
    return result;
}

static int guard_traverse(Guard *guard, visitproc visit, void *arg) {
    Py_VISIT(guard->function);
    Py_VISIT(guard->passing);
    Py_VISIT(guard->refused);
    Py_VISIT(guard->kind);
    Py_VISIT(guard->parts);
    Py_VISIT(guard->check);
    return 0;
}

static int guard_clear(Guard *guard) {
    Py_CLEAR(guard->function);
    Py_CLEAR(guard->passing);
    Py_CLEAR(guard->refused);
    Py_CLEAR(guard->kind);
    Py_CLEAR(guard->parts);
    Py_CLEAR(guard->check);
    return 0;
}

static void guard_free(Guard *guard) {
    PyObject_GC_UnTrack(guard);
    guard_clear(guard);
    Py_TYPE(guard)->tp_free((PyObject *)guard);
}

static PyTypeObject guard_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winsock._hot.Guard",
    .tp_basicsize = sizeof(Guard),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Guard, call),
    .tp_call = PyVectorcall_Call,
    .tp_traverse = (traverseproc)guard_traverse,
    .tp_clear = (inquiry)guard_clear,
    .tp_dealloc = (destructor)guard_free,
};

static int are_kinds(PyObject *parts) {
    if (!PyTuple_CheckExact(parts)) return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts); i++)
        if (!PyTuple_CheckExact(PyTuple_GET_ITEM(parts, i))) return 0;
    return 1;
}

static PyObject *hot_guarded(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    Guard *guard;
    if (count != 3 && count != 6)
        return PyErr_Format(PyExc_TypeError, "guarded takes function, passing, refused, and maybe kind, parts, check");
    if (count == 6 && !are_kinds(arguments[4]))
        return PyErr_Format(PyExc_TypeError, "parts is a tuple of tuples of kinds");
    guard = PyObject_GC_New(Guard, &guard_type);
    if (!guard) return NULL;
    guard->call = guard_call;
    guard->function = Py_NewRef(arguments[0]);
    guard->passing = Py_NewRef(arguments[1]);
    guard->refused = Py_NewRef(arguments[2]);
    guard->kind = count == 6 ? Py_NewRef(arguments[3]) : NULL;
    guard->parts = count == 6 ? Py_NewRef(arguments[4]) : NULL;
    guard->check = count == 6 ? Py_NewRef(arguments[5]) : NULL;
    PyObject_GC_Track(guard);
    return (PyObject *)guard;
}

/* What is known of a handle: see `pure.Association`. Its fields are the arguments of its constructor, and two more. */

enum { HANDLE, CHAIN, TABLE, IDENTITY, CONTEXT, MADE, ADOPTED, HIDDEN, SHARED, FIELDS };
enum { NEEDED = CONTEXT, MOST_GIVEN = HIDDEN };

typedef struct {
    PyObject_HEAD
    PyObject *field[FIELDS];
} Association;

#define FIELD(name, at) {name, T_OBJECT_EX, offsetof(Association, field) + (at) * sizeof(PyObject *), 0, NULL}

static PyMemberDef association_fields[] = {
    FIELD("handle", HANDLE), FIELD("chain", CHAIN), FIELD("table", TABLE), FIELD("identity", IDENTITY),
    FIELD("context", CONTEXT), FIELD("made", MADE), FIELD("adopted", ADOPTED), FIELD("hidden", HIDDEN),
    FIELD("shared", SHARED), {NULL, 0, 0, 0, NULL},
};

/* The field that an argument by name is for; -1, with an exception, where there is none or it is given twice. */
static int field_of(PyObject *name, PyObject *const *given) {
    for (int at = 0; at < MOST_GIVEN; at++)
        if (PyUnicode_CompareWithASCIIString(name, association_fields[at].name) == 0) {
            if (!given[at]) return at;
            break;
        }
    PyErr_Format(PyExc_TypeError, "a record has no argument %R, or has it already", name);
    return -1;
}

static int association_init(PyObject *self, PyObject *arguments, PyObject *names) {
    PyObject *given[FIELDS] = {NULL}, *name, *value;
    PyObject **field = ((Association *)self)->field;
    Py_ssize_t count = PyTuple_GET_SIZE(arguments), at = 0;
    if (count > MOST_GIVEN) return PyErr_Format(PyExc_TypeError, "too many arguments for a record"), -1;
    for (int i = 0; i < count; i++) given[i] = PyTuple_GET_ITEM(arguments, i);
    while (names && PyDict_Next(names, &at, &name, &value)) {
        int found = field_of(name, given);
        if (found < 0) return -1;
        given[found] = value;
    }
    for (int i = 0; i < FIELDS; i++) {
        if (!given[i] && i < NEEDED)
            return PyErr_Format(PyExc_TypeError, "a record needs its %s", association_fields[i].name), -1;
        value = given[i] ? given[i] : i == CONTEXT ? Py_None : Py_False;
        Py_INCREF(value);
        Py_XSETREF(field[i], value);
    }
    return 0;
}

static int association_traverse(PyObject *self, visitproc visit, void *arg) {
    for (int i = 0; i < FIELDS; i++) Py_VISIT(((Association *)self)->field[i]);
    return 0;
}

static int association_clear(PyObject *self) {
    for (int i = 0; i < FIELDS; i++) Py_CLEAR(((Association *)self)->field[i]);
    return 0;
}

static void association_free(PyObject *self) {
    PyObject_GC_UnTrack(self);
    association_clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyTypeObject association_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winsock._hot.Association",
    .tp_basicsize = sizeof(Association),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .tp_members = association_fields,
    .tp_new = PyType_GenericNew,
    .tp_init = association_init,
    .tp_traverse = association_traverse,
    .tp_clear = association_clear,
    .tp_dealloc = association_free,
};

#define FAST(name) {#name, (PyCFunction)(void (*)(void))hot_##name, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    FAST(receive), FAST(answer), FAST(valid), FAST(take), {"kind", hot_kind, METH_O, NULL},
    {"network", hot_network, METH_O, NULL},
    FAST(read_memory), FAST(write_memory), FAST(connect), FAST(name), {"close_each", hot_close_each, METH_O, NULL},
    FAST(make), FAST(same), FAST(guarded), {"identity", hot_identity, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "winsock._hot", NULL, -1, methods};

PyMODINIT_FUNC PyInit__hot(void) {
    PyObject *made;
    if (PyType_Ready(&guard_type) || PyType_Ready(&association_type) || !(made = PyModule_Create(&module))) return NULL;
    if (!PyModule_AddObjectRef(made, "Association", (PyObject *)&association_type)) return made;
    Py_DECREF(made);
    return NULL;
}
