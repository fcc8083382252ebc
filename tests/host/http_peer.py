"""A server on raw sockets that behaves and misbehaves as the path of the request says.

Usage: http_peer.py FILE [CERTIFICATE KEY]. Writes its ports into FILE: one for HTTP, one
that accepts connections and says nothing, one for TLS (0 without a certificate). Ends
when its standard input does.
"""
import gzip
import os
import socket
import ssl
import struct
import sys
import threading
import time

arrivals = {}
lock = threading.Lock()


def reply(body=b"", status=200, headers=(), length=None):
    lines = ["HTTP/1.1 %d Some Reason" % status]
    lines += ["%s: %s" % pair for pair in headers]
    lines.append("Content-Length: %d" % (len(body) if length is None else length))
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def read_request(conn, buffer):
    while b"\r\n\r\n" not in buffer:
        data = conn.recv(65536)
        if not data:
            return None, buffer
        buffer += data
    head, _, rest = buffer.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(rest) < length:
        data = conn.recv(65536)
        if not data:
            return None, b""
        rest += data
    return (head, rest[:length]), rest[length:]


def abort(conn):
    """Closes with RST."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


def misbehave(conn, path, query, head, body):
    """Sends what the path asks for; returns whether the connection goes on."""
    if path == "/echo":
        conn.sendall(reply(head + b"\r\n\r\n" + body, headers=[("Content-Type", "text/plain")]))
        return True
    if path == "/count":
        with lock:
            conn.sendall(reply(b"%d" % arrivals.get(query, 0)))
        return True
    if path == "/status":
        conn.sendall(reply(b"said %s" % query.encode(), int(query)))
        return True
    if path == "/headers":
        conn.sendall(reply(b"", headers=[("X-One", "a"), ("x-one", "b"), ("Empty", ""), ("ETag", '"1"')]))
        return True
    if path == "/redirect":
        conn.sendall(reply(b"", 302, [("Location", "/echo")]))
        return True
    if path == "/bytes":
        conn.sendall(reply(b"x" * int(query)))
        return True
    if path == "/chunks":
        conn.sendall(CHUNKED + b"\r\n")
        for i in range(int(query)):
            conn.sendall(chunk(b"%d;" % i))
            time.sleep(0.002)
        conn.sendall(b"0\r\n\r\n")
        return True
    if path == "/gzip":
        conn.sendall(reply(gzip.compress(b"\0" * int(query)), headers=[("Content-Encoding", "gzip")]))
        return True
    if path == "/gzip-cut":
        # query: how many bytes are left of it
        packed = gzip.compress(os.urandom(5000))
        conn.sendall(reply(packed[:int(query)], headers=[("Content-Encoding", "gzip")]))
        return True
    if path == "/gzip-two":
        packed = gzip.compress(b"one") + gzip.compress(b"two")
        conn.sendall(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
        for i in range(len(packed)):
            conn.sendall(chunk(packed[i:i + 1]))
        conn.sendall(b"0\r\n\r\n")
        return True
    if path == "/brotli":
        conn.sendall(reply(b"who asked for this", headers=[("Content-Encoding", "br")]))
        return True
    if path == "/gzip-broken":
        conn.sendall(reply(b"not gzip at all", headers=[("Content-Encoding", "gzip")]))
        return True
    if path == "/json":
        conn.sendall(reply(b'{"a":[1,2],"n":null}', headers=[("Content-Type", "application/json")]))
        return True
    if path == "/html":
        conn.sendall(reply(b"<!doctype html><title>Sign in</title>", headers=[("Content-Type", "text/html")]))
        return True
    if path == "/json-cut":
        conn.sendall(reply(b'{"a":[1,2', headers=[("Content-Type", "application/json")]))
        return True
    if path == "/flaky":
        # query: key-status-header-value-times; that status so many times, then 200.
        key, status, name, value, times = query.split("~")
        with lock:
            is_early = arrivals[query] <= int(times)
        conn.sendall(reply(b"later", int(status), [(name, value)] if name else []) if is_early else reply(b"done"))
        return True
    if path == "/dropping":
        # query: key-times; closes without a reply so many times, then 200.
        with lock:
            is_early = arrivals[query] <= int(query.split("~")[1])
        if not is_early:
            conn.sendall(reply(b"done"))
        return not is_early
    if path == "/truncated":
        conn.sendall(reply(b"x" * 50, length=100))
    elif path == "/truncated-chunks":
        conn.sendall(CHUNKED + b"\r\n" + chunk(b"x" * 50))
    elif path == "/reset":
        conn.sendall(reply(b"x" * 50, length=100000))
        time.sleep(0.05)
        abort(conn)
    elif path == "/garbage":
        conn.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    elif path == "/long-headers":
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Long: %s\r\n" % (b"y" * 90000) * 4 + b"Content-Length: 0\r\n\r\n")
        time.sleep(0.2)
    elif path == "/slow":
        conn.settimeout(20)
        conn.recv(1)
    return False


def serve(conn):
    buffer, served = b"", 0
    with conn:
        while True:
            request, buffer = read_request(conn, buffer)
            if request is None:
                return
            head, body = request
            target = head.split(b" ")[1].decode()
            if target.startswith("http://"):  # asked as a proxy
                target = "/" + target.split("/", 3)[3]
            path, _, query = target.partition("?")
            if path != "/count":
                with lock:
                    arrivals[query or path] = arrivals.get(query or path, 0) + 1
            served += 1
            if path == "/mortal":
                # A connection answers once; what comes next on it arrives and gets no reply.
                if served > 1:
                    return
                conn.sendall(reply(b"alive"))
            elif not misbehave(conn, path, query, head, body):
                return


def listen(handler, backlog=128):
    listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)

    def accept():
        while True:
            conn, _ = listener.accept()
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=guarded, args=(handler, conn), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def guarded(handler, conn):
    try:
        handler(conn)
    except OSError:
        conn.close()


def hold(conn):
    conn.settimeout(20)
    while conn.recv(65536):
        pass


def main():
    tls_port = 0
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        tls_port = listen(lambda conn: serve(context.wrap_socket(conn, server_side=True)))
    ports = "%d %d %d" % (listen(serve), listen(hold), tls_port)
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(ports)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    sys.stdin.read()


main()
