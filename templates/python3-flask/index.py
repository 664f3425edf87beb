"""Serves function/handler.py through Flask on 127.0.0.1:$http_port, behind the watchdog (mode=http)."""

import os
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(ROOT, "packages"))  # where install.sh puts requirements.txt

from faaslane_runtime.handler import load_handler  # noqa: E402
from faaslane_runtime.server import Server  # noqa: E402
from faaslane_runtime.settings import read_settings  # noqa: E402
from faaslane_runtime.wsgi import responder  # noqa: E402

METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def application(handle, raw_body):
    from flask import Flask, g, request

    from faaslane_runtime.cloud_event import carries_event, encode_event, is_event, read_event

    app = Flask("function", root_path=os.path.join(ROOT, "function"), static_folder=None)

    @app.route("/", defaults={"path": ""}, methods=METHODS, provide_automatic_options=False)
    @app.route("/<path:path>", methods=METHODS, provide_automatic_options=False)
    def call(path):
        headers = request.headers
        g.cloud_event = read_event(headers, request.get_data()) if carries_event(headers) else None
        answer = handle(request.get_data() if raw_body else request.get_data(as_text=True))
        # An event that is returned to an event is the reply to it.
        if g.cloud_event is not None and is_event(answer):
            status, fields, body = encode_event(answer)
            reply = app.response_class(b"" if body is None else body, status, fields)
            if "Content-Type" not in [name for name, _ in fields]:
                reply.headers.pop("Content-Type", None)
            return reply
        return "" if answer is None else answer

    return app


def main():
    # A pipe is block-buffered by default: a function's print would reach the log long after its call.
    sys.stdout.reconfigure(line_buffering=True)
    settings = read_settings(os.environ)
    app = application(load_handler(), settings.raw_body)
    # The port opens last, because the watchdog takes an open port for readiness.
    Server(responder(app), settings).run()


if __name__ == "__main__":
    main()
