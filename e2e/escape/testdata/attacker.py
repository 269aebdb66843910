"""The hostile function in Python. Its operations are those of the native one."""

import ctypes
import errno
import os
import re
import socket
import subprocess

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
SHOWN = 200
PATIENCE = 10


def op_read(o):
    fd = os.open(o["arg"], os.O_RDONLY)
    try:
        return os.read(fd, SHOWN).decode("utf-8", "replace")
    finally:
        os.close(fd)


def op_list(o):
    return " ".join(sorted(os.listdir(o["arg"])))


def op_write(o):
    fd = os.open(o["arg"], os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if o.get("to"):
            os.write(fd, o["to"].encode())
    finally:
        os.close(fd)


def op_syscall(o):
    args, pinned = [], []
    for a in o.get("args") or []:
        if isinstance(a, dict):
            a = ctypes.create_string_buffer(a["zeroes"])
        elif isinstance(a, str):
            a = ctypes.create_string_buffer(a.encode())
        else:
            args.append(ctypes.c_long(a if a < 1 << 63 else a - (1 << 64)))
            continue
        pinned.append(a)
        args.append(a)
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(o["nr"]), *args) == -1:
        raise OSError(ctypes.get_errno(), "")


def split(addr):
    host, port = addr.rsplit(":", 1)
    return host.strip("[]"), int(port)


def dial(sock, addr):
    with sock:
        sock.settimeout(PATIENCE)
        sock.connect(addr)
        found = sock.recv(SHOWN)
        if not found:
            raise EOFError
        return found.decode("utf-8", "replace")


def op_tcp(o):
    host, port = split(o["arg"])
    family, kind, proto, _, addr = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return dial(socket.socket(family, kind, proto), addr)


def op_unix(o):
    addr = o["arg"]
    if addr.startswith("@"):
        addr = "\0" + addr[1:]
    return dial(socket.socket(socket.AF_UNIX), addr)


def op_udp(o):
    host, port = split(o["arg"])
    family, kind, proto, _, addr = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, proto) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(addr)
        sock.send(b"hello")
        return sock.recv(SHOWN).decode("utf-8", "replace")


def op_http(o):
    request = o["to"]
    if "\r\n" not in request:
        request = "GET " + request + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    found = b""
    with socket.create_connection(split(o["arg"]), PATIENCE) as sock:
        sock.sendall(request.encode())
        while chunk := sock.recv(4096):
            found += chunk
    return found.decode("utf-8", "replace")


def op_exec(o):
    done = subprocess.run(["/bin/sh", "-c", o["arg"]], capture_output=True, stdin=subprocess.DEVNULL)
    return "%d %s" % (done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace").strip())


def op_scan(o):
    """Looks through its own memory for a pattern that does not match itself."""
    pattern = re.compile(o["arg"].encode())
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.readlines():
            bounds, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(bound, 16) for bound in bounds.split("-"))
            try:
                memory.seek(begin)
                if pattern.search(memory.read(end - begin)):
                    return "found"
            except OSError:
                pass  # a page that belongs to the kernel
    return "nothing"


OPS = {
    "read": op_read,
    "list": op_list,
    "write": op_write,
    "link": lambda o: os.link(o["arg"], o["to"]),
    "symlink": lambda o: os.symlink(o["arg"], o["to"]),
    "syscall": op_syscall,
    "tcp": op_tcp,
    "unix": op_unix,
    "udp": op_udp,
    "http": op_http,
    "exec": op_exec,
    "scan": op_scan,
}


def attempt(o):
    try:
        found = OPS[o["op"]](o)
    except OSError as e:
        return errno.errorcode.get(e.errno) or str(e)
    except EOFError:
        return "EOF"
    return "ok: " + found if found else "ok"


def handler(event, context):
    return [attempt(o) for o in event["ops"]]
