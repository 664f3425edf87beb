"""Finds the user's handler and calls it."""

import importlib
import sys

from .answer import to_answer
from .contract import ASYNC, EVENT_ALONE, MISSING, TEXT, contract_of, is_async, signature_of
from .secrets import read_secret

FAILED = (500, [("Content-Type", "text/plain; charset=utf-8")], b"Internal Server Error\n")


UNREAD = object()


class Query(dict):
    """Query parameters: the first value of each by its name, all of them with getlist."""

    def __init__(self, text):
        from urllib.parse import parse_qsl  # slow to import, and most calls have no query

        self._lists = {}
        for name, value in parse_qsl(from_bytes(text), keep_blank_values=True):
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


def from_bytes(text):
    """What came over the wire byte by byte, as the UTF-8 that it is where it is any."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


class Event:
    """One request: body (bytes), headers, method, path and query."""

    def __init__(self, request):
        self._query_text = request.target.partition("?")[2]
        self.body = request.body
        self.headers = request.headers
        self.method = request.method
        self.path = request.path
        self._query = None
        self._cloud_event = UNREAD

    @property
    def query(self):
        if self._query is None:
            self._query = Query(self._query_text)
        return self._query


    @property
    def cloud_event(self):
        """The CloudEvent that the request carries: a dict of its attributes and "data". None without one."""
        if self._cloud_event is UNREAD:
            self._cloud_event = self._read_event()
        return self._cloud_event

    cloudEvent = cloud_event  # as it is called in the node template

    def _read_event(self):
        # Most calls are for no event, and need nothing of this module.
        if "Ce-Specversion" not in self.headers and "cloudevents" not in self.headers.get("Content-Type", "").lower():
            return None
        from .cloud_event import carries_event, read_event

        return read_event(self.headers, self.body) if carries_event(self.headers) else None


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
        raise SystemExit(MISSING)
    if is_async(handle):
        raise SystemExit(ASYNC)
    return handle


def caller(handle, settings):
    """A function that turns a request into an answer by the contract that the handler keeps."""
    contract = contract_of(signature_of(handle))
    if contract == TEXT:
        from .text_call import text_call

        return text_call(handle, settings.raw_body)
    if contract == EVENT_ALONE:

        def call_alone(request):
            event = Event(request)
            return answer_to(event, handle(event))

        return call_alone
    hostname, secrets_dir = settings.hostname, settings.secrets_dir

    def call(request):
        event = Event(request)
        return answer_to(event, handle(event, Context(hostname, secrets_dir)))

    return call


def answer_to(event, result):
    """An event that is returned to an event is the reply to it."""
    if isinstance(result, dict) and "specversion" in result and event.cloud_event is not None:
        from .cloud_event import encode_event, is_event

        if is_event(result):
            status, headers, body = encode_event(result)
            return to_answer({"statusCode": status, "headers": headers, "body": body})
    return to_answer(result)


def responder(handle, settings):
    """A function that turns a request into an answer, whatever the handler does."""
    call = caller(handle, settings)

    def respond(request):
        try:
            return call(request)
        except BaseException:  # even sys.exit in a handler must not leave the caller without an answer
            report()
            return FAILED

    return respond


def report():
    import traceback

    # One write, so that two failing calls do not mix their lines.
    sys.stderr.write(traceback.format_exc())
    sys.stderr.flush()
