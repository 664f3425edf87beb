"""Finds the user's handler and calls it."""

import importlib
import sys

from .answer import to_answer
from .secrets import read_secret

CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, which is slow to import
FAILED = (500, [("Content-Type", "text/plain; charset=utf-8")], b"Internal Server Error\n")


class Query(dict):
    """Query parameters: the first value of each by its name, all of them with getlist."""

    def __init__(self, text):
        from urllib.parse import parse_qsl  # slow to import, and most calls have no query

        self._lists = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            self._lists.setdefault(name, []).append(value)
        super().__init__((name, values[0]) for name, values in self._lists.items())

    def getlist(self, name):
        return list(self._lists.get(name, ()))

    def get(self, name, default=None, type=None):
        """As in Flask: `type` converts the value, and the default stands in when it cannot."""
        value = dict.get(self, name, default)
        if type is None or name not in self:
            return value
        try:
            return type(value)
        except ValueError:
            return default


class Event:
    """One request: body (bytes), headers, method, path and query."""

    def __init__(self, request):
        path, _, self._query_text = request.target.partition("?")
        self.body = request.body
        self.headers = request.headers
        self.method = request.method
        self.path = path if "%" not in path else decode_path(path)
        self._query = None

    @property
    def query(self):
        if self._query is None:
            self._query = Query(self._query_text)
        return self._query


def decode_path(path):
    from urllib.parse import unquote

    return unquote(path)


class Context:
    def __init__(self, hostname, secrets_dir):
        self.hostname = hostname
        self._secrets_dir = secrets_dir

    def secret(self, name):
        """The text of a secret of this function, without its trailing line break. LookupError without it."""
        return read_secret(self._secrets_dir, name)


def load_handler():
    module = importlib.import_module("function.handler")
    handle = getattr(module, "handle", None)
    if not callable(handle):
        raise SystemExit("function/handler.py has no function handle(event, context)")
    if getattr(getattr(handle, "__code__", None), "co_flags", 0) & CO_COROUTINE:
        raise SystemExit("handle(event, context) in function/handler.py must not be async: each call has its own thread")
    return handle


def responder(handle, hostname, secrets_dir):
    """A function that turns a request into an answer, whatever the handler does."""

    def respond(request):
        try:
            return to_answer(handle(Event(request), Context(hostname, secrets_dir)))
        except BaseException:  # even sys.exit in a handler must not leave the caller without an answer
            report()
            return FAILED

    return respond


def report():
    import traceback

    # One write, so that two failing calls do not mix their lines.
    sys.stderr.write(traceback.format_exc())
    sys.stderr.flush()
