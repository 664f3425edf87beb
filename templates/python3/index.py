"""Serves function/handler.py on 127.0.0.1:$http_port, behind the watchdog (mode=http)."""

import os
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(ROOT, "packages"))  # where install.sh puts requirements.txt

from faaslane_runtime.handler import load_handler, responder  # noqa: E402
from faaslane_runtime.server import Server  # noqa: E402
from faaslane_runtime.settings import read_settings  # noqa: E402


def main():
    # A pipe is block-buffered by default: a function's print would reach the log long after its call.
    sys.stdout.reconfigure(line_buffering=True)
    settings = read_settings(os.environ)
    # The port opens last, because the watchdog takes an open port for readiness.
    Server(responder(load_handler(), settings), settings).run()


if __name__ == "__main__":
    main()
