"""The contract of OpenFaaS's classic python3: handle(req) gets the body as text, and what it prints and returns is the
answer. The rest of the request is in Http_* variables. There each call has a process of its own; here it has a thread, so
standard output and the environment show each thread what is its own."""

import os
import sys
import threading

from .answer import to_answer


class Call(threading.local):
    variables = None
    printed = None


CALL = Call()


class CallEnvironment(type(os.environ)):
    """os.environ, and the variables of the call in front of it."""

    def __getitem__(self, name):
        if CALL.variables is not None and name in CALL.variables:
            return CALL.variables[name]
        return super().__getitem__(name)

    def __iter__(self):
        yield from CALL.variables or ()
        yield from (name for name in super().__iter__() if name not in (CALL.variables or ()))

    def __len__(self):
        return sum(1 for _ in self)

    def __repr__(self):
        return "environ(%r)" % dict(self)

    def copy(self):
        return dict(self)


class CallOutput:
    """sys.stdout: what a call prints is its answer, all else goes where it always went."""

    def __init__(self, stream):
        self._stream = stream
        self.buffer = CallBytes(stream.buffer)

    def write(self, text):
        if CALL.printed is None:
            return self._stream.write(text)
        CALL.printed.append(text.encode("utf-8", "surrogateescape"))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)


class CallBytes:
    def __init__(self, stream):
        self._stream = stream

    def write(self, data):
        if CALL.printed is None:
            return self._stream.write(data)
        CALL.printed.append(bytes(data))
        return len(data)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def text_call(handle, raw_body):
    """A function that turns a request into an answer by way of handle(req). To be called once."""
    os.environ.__class__ = CallEnvironment  # in place: a handler may have imported the object itself
    sys.stdout = CallOutput(sys.stdout)

    def call(request):
        body = request.body if raw_body else request.body.decode("utf-8", "surrogateescape")
        CALL.variables = call_variables(request)
        CALL.printed = []
        try:
            result = run(handle, body)
            printed = b"".join(CALL.printed)
        finally:
            CALL.variables = CALL.printed = None
        if result is None or isinstance(result, (str, int, float)):
            text = b"" if result is None else ("%s\n" % result).encode("utf-8", "surrogateescape")
            # Without a type: it is guessed from the content, as the classic watchdog does.
            return 200, [], printed + text
        if printed:
            sys.stdout.buffer.write(printed)
            sys.stdout.flush()
        return to_answer(result)

    return call


def run(handle, body):
    try:
        return handle(body)
    except SystemExit as end:
        if end.code in (None, 0):
            return None
        raise


def call_variables(request):
    path, _, query = request.target.partition("?")
    variables = {"Http_" + canonical(name).replace("-", "_"): value for name, value in request.headers.items()}
    length = request.headers.get("Content-Length") or ("-1" if "Transfer-Encoding" in request.headers else "0")
    variables.update(
        Http_Method=request.method, Http_Path=request.path, Http_ContentLength=length, Http_Content_Length=length
    )
    if query:
        variables["Http_Query"] = query
    return variables


def canonical(name):
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))
