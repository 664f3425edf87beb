"""Calls a WSGI application (PEP 3333) with the requests that the server reads."""

import io
import sys

from .answer import check_header, check_status
from .handler import FAILED, report


def responder(app):
    """A function that turns a request into an answer, whatever the application does."""

    def respond(request):
        try:
            return call(app, request)
        except BaseException:  # even sys.exit in a handler must not leave the caller without an answer
            report()
            return FAILED

    return respond


def call(app, request):
    started = []

    def start_response(status, headers, exc_info=None):
        started[:] = [check_status(status.split(" ", 1)[0]), list(headers)]
        return written.append

    written = []
    body = app(environ_of(request), start_response)
    chunks = iter(body)
    # The application may begin its answer as late as with its first chunk.
    first = next(chunks, b"")
    status, headers = started
    for name, value in headers:
        check_header(name, value)
    kept = [pair for pair in headers if pair[0].lower() not in ("content-length", "transfer-encoding", "connection")]
    if is_whole(headers) or status in (204, 304):
        payload = b"".join(written) + first + b"".join(chunks)
        close(body)
        return status, kept, payload
    return status, kept, Chunks(written + [first], chunks, body)


def is_whole(headers):
    """An answer whose length is known is not streamed."""
    return any(name.lower() == "content-length" for name, _ in headers)


class Chunks:
    """The rest of an answer, as it comes."""

    def __init__(self, first, rest, body):
        self._first = first
        self._rest = rest
        self._body = body

    def __iter__(self):
        return self

    def __next__(self):
        return self._first.pop(0) if self._first else next(self._rest)

    def close(self):
        close(self._body)


def close(body):
    if hasattr(body, "close"):
        body.close()


def environ_of(request):
    path, _, query = request.target.partition("?")
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        # WSGI has bytes as Latin-1 in its texts.
        "PATH_INFO": request.path.encode("utf-8").decode("latin-1"),
        "RAW_URI": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(request.body)),
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            environ["HTTP_" + key] = value
    return environ
