"""What an installed TFLite runtime says to models of one operator: `python -m tests.runtime_probe RUNTIME`.

Reads lines `KEY HEX`, the hexadecimal bytes of a file; prints `KEY WORD`: unknown (no such operator or
version), refused, taken, delegated. Each is tried in a child of its own, for a runtime may end the process.
"""

import importlib
import os
import sys
from typing import Any

import numpy as np

UNKNOWN = ("Didn't find op", "out of range")


def _try(interpreter: Any, data: bytes) -> str:
    try:
        tried = interpreter.Interpreter(model_content=data)
    except (ValueError, RuntimeError) as error:
        return "unknown" if any(words in str(error) for words in UNKNOWN) else "refused"
    try:
        tried.allocate_tensors()
        for fed in tried.get_input_details():
            tried.set_tensor(fed["index"], np.ones(fed["shape"], fed["dtype"]))
        tried.invoke()
    except (ValueError, RuntimeError):
        return "refused"
    return "delegated" if any(o["op_name"] == "DELEGATE" for o in tried._get_ops_details()) else "taken"


def main() -> None:
    interpreter = importlib.import_module(f"{sys.argv[1]}.interpreter")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    for line in sys.stdin:
        key, data = line.split()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, _try(interpreter, bytes.fromhex(data)).encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        print(key, os.read(reader, 64).decode() or "refused", flush=True)
        os.close(reader)


if __name__ == "__main__":
    main()
