"""Redis with an append-only file that it rewrites (in a child) while it is written to; every answer is checked. At the end
the data is what it must be, also as a second server reads it from the file."""
import os
import shutil
import socket
import subprocess
import sys

BATCH = 500
SOCKET = "redis.sock"


def start():
    return subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", SOCKET, "--save", "", "--appendonly", "yes",
                             "--dir", "data", "--enable-debug-command", "local", "--logfile", "server.log"])


def connect(server):
    while server.poll() is None:
        try:
            client = socket.socket(socket.AF_UNIX)
            client.connect(f"data/{SOCKET}")
            return client, client.makefile("rb")
        except OSError:
            client.close()
    sys.exit(f"redis-server ended with {server.returncode}")


def answer(stream):
    line = stream.readline().strip()
    if line[:1] == b"$":
        return stream.read(int(line[1:]) + 2)[:-2]
    if line[:1] in b"+:":
        return line[1:]
    sys.exit(f"answer {line!r}")


def ask(connection, *commands):
    client, stream = connection
    words = [command.split() for command in commands]
    client.sendall("".join(f"*{len(w)}\r\n" + "".join(f"${len(x)}\r\n{x}\r\n" for x in w) for w in words).encode())
    return [answer(stream) for _ in commands]


def digest(connection):
    return ask(connection, "DEBUG DIGEST")[0].decode()


def ready(connection):
    client, stream = connection
    while True:
        client.sendall(b"*1\r\n$4\r\nPING\r\n")
        if stream.readline() == b"+PONG\r\n":
            return


def main():
    batches = int(sys.argv[1])
    os.mkdir("data")
    server = start()
    connection = connect(server)
    ready(connection)
    for batch in range(batches):
        first = batch * BATCH
        counted = ask(connection, *(f"INCR counter:{n % 7}" for n in range(first, first + BATCH)))
        expected = [n // 7 + 1 for n in range(first, first + BATCH)]
        if list(map(int, counted)) != expected:
            sys.exit(f"batch {batch}: an acknowledged write is lost, or one is there twice: {counted}, not {expected}")
        ask(connection, *(f"SET key:{n * 7919 % 20011} value-{n}-{'x' * (n % 97)}" for n in range(first, first + BATCH)),
            f"RPUSH list {batch}", "LTRIM list -100 -1")
        if batch % 200 == 100:
            client, stream = connection
            client.sendall(b"BGREWRITEAOF\r\n")
            stream.readline()  # it may be at it still
        if batch % 50 == 0:
            print(batch, ask(connection, "DBSIZE")[0].decode(), digest(connection), flush=True)
    before = digest(connection)
    connection[0].sendall(b"SHUTDOWN\r\n")
    server.wait()
    server = start()
    connection = connect(server)
    ready(connection)
    print("the same from the file:", digest(connection) == before, before)
    connection[0].sendall(b"SHUTDOWN\r\n")
    server.wait()
    shutil.rmtree("data")


main()
