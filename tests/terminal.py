"""A person at a terminal, for specs: python3 tests/terminal.py SCRIPT COMMAND...

SCRIPT is a JSON list of steps, done one after the other on a pseudo-terminal of
COLUMNS columns (100):
  {"send": TEXT}       types it
  {"hex": DIGITS}      types these bytes
  {"expect": TEXT}     waits until the output since the last expectation holds it
  {"signal": NAME}     sends a signal to the command
  {"columns": N}       changes the terminal's size
  {"quiet": SECONDS}   waits until nothing was printed for so long
  {"cooked": true}     waits until the terminal is in line mode: no line is being read
Prints one JSON object: the whole output, the exit status (or signal), the time that
each expectation took, what went wrong, and whether the terminal was given back with
echo and line mode on.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

steps, command = json.loads(sys.argv[1]), sys.argv[2:]
columns = int(os.environ.get("COLUMNS", "100"))
os.environ.pop("COLUMNS", None)
PATIENCE_S = 20

child, terminal = pty.fork()
if child == 0:
    time.sleep(0.01)
    os.execvp(command[0], command)


def resize(width):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    os.kill(child, signal.SIGWINCH)


resize(columns)
began = time.monotonic()
output, looked, problem, times = b"", 0, None, []


def read(seconds):
    """Takes what is printed; False once the terminal is closed."""
    global output
    if not select.select([terminal], [], [], seconds)[0]:
        return None
    try:
        some = os.read(terminal, 65536)
    except OSError:
        return False
    output += some
    return bool(some)


def expect(text):
    global looked
    wanted, since = text.encode(), time.monotonic()
    while True:
        at = output.find(wanted, looked)
        if at >= 0:
            looked = at + len(wanted)
            times.append(time.monotonic() - since)
            return None
        left = since + PATIENCE_S - time.monotonic()
        if left <= 0 or read(left) is False:
            return "waited in vain for " + repr(text) + " after " + repr(output[looked:].decode("utf-8", "replace"))


for step in steps:
    if "send" in step or "hex" in step:
        data = bytes.fromhex(step["hex"]) if "hex" in step else step["send"].encode()
        while data:
            sent = os.write(terminal, data[:512])
            data = data[sent:]
            read(0)
    elif "expect" in step:
        problem = expect(step["expect"])
    elif "signal" in step:
        os.kill(child, getattr(signal, "SIG" + step["signal"]))
    elif "columns" in step:
        resize(step["columns"])
    elif "cooked" in step:
        while not termios.tcgetattr(terminal)[3] & termios.ICANON:
            read(0.01)
    elif "quiet" in step:
        while read(step["quiet"]):
            pass
    if problem:
        break

if problem:
    os.kill(child, signal.SIGKILL)
until = time.monotonic() + PATIENCE_S
while read(max(0, until - time.monotonic())):
    pass
if time.monotonic() >= until:
    problem = problem or "the command does not end"
    os.kill(child, signal.SIGKILL)
status = os.waitpid(child, 0)[1]
flags = termios.tcgetattr(terminal)[3]
print(json.dumps({
    "output": output.decode("utf-8", "replace"),
    "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
    "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
    "times": times,
    "problem": problem,
    "cooked": bool(flags & termios.ECHO and flags & termios.ICANON and flags & termios.ISIG),
}))
