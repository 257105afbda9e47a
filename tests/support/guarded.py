"""Run a command that cannot outlive the process that started it: `python guarded.py FOLDER COMMAND ARGUMENT...`.

Prints the command's process id, then waits for the end of the command or of its own standard input, whichever is first; in the second
case the command is ended: with SIGTERM, and with SIGKILL when that does not help. A pipe closes however its owner dies; an owner that
lives says `KEEP` first, else FOLDER, the command's data, is removed.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading

TERMINATION_SECONDS = 20.0
KEEP = b"keep"


def main(folder: str, command: list[str]) -> int:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr)
    print(process.pid, flush=True)
    owner_gone = threading.Event()
    watcher = threading.Thread(target=_end_with_input, args=(process, folder, owner_gone), daemon=True)
    watcher.start()
    code = process.wait()
    if owner_gone.is_set():
        watcher.join()
    return code


def _end_with_input(process: subprocess.Popen[bytes], folder: str, owner_gone: threading.Event) -> None:
    said = os.read(0, 64)
    owner_gone.set()
    process.terminate()
    try:
        process.wait(TERMINATION_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if said != KEEP:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # a handler, for "ignored" would be inherited by the command
        signal.signal(number, lambda *_: None)
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
