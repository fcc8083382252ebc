"""Times what a person waits for at a terminal, for tests/bench/repl.lua:

    python3 tests/bench/terminal.py STEPS COMMAND...

STEPS is a JSON list: {"expect": TEXT} waits for output and is timed, the first one from
the start of the command, the others from the text that was sent before; {"send": TEXT}
types; {"quiet": SECONDS} waits until nothing was printed for so long. Prints the seconds
of each expectation as a JSON list.
"""
import fcntl, json, os, pty, select, struct, sys, termios, time

steps, command = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
since = time.monotonic()
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
output, times = b"", []


def read(seconds):
    global output
    if not select.select([terminal], [], [], seconds)[0]:
        return False
    try:
        some = os.read(terminal, 65536)
    except OSError:
        return None
    output += some
    return bool(some)


for step in steps:
    if "send" in step:
        output, since = b"", time.monotonic()
        os.write(terminal, step["send"].encode())
    elif "quiet" in step:
        while read(step["quiet"]):
            pass
    elif "expect" in step:
        while step["expect"].encode() not in output:
            if time.monotonic() > since + 20 or read(1) is None:
                sys.exit("waited in vain for %r after %r" % (step["expect"], output))
        times.append(time.monotonic() - since)
while read(5):
    pass
os.waitpid(child, 0)
print(json.dumps(times))
