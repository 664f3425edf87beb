"""Which contract a handler keeps: its signature decides."""

EVENT = "event"  # handle(event, context)
EVENT_ALONE = "event alone"  # handle(event)
TEXT = "text"  # handle(req), as OpenFaaS's classic python3 and python3-flask have it

CONTRACTS = "handle(event, context), or handle(req), which gets the request's body as text"
ASYNC = "handle in function/handler.py must not be async: each call has its own thread"
MISSING = "function/handler.py has no function %s" % CONTRACTS

CO_VARARGS = 0x04
CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, which is slow to import


class Signature:
    """What can be given to a function by position."""

    __slots__ = ("names", "required", "unlimited", "needs_keywords")

    def __init__(self, names, required, unlimited=False, needs_keywords=False):
        self.names = names
        self.required = required
        self.unlimited = unlimited
        self.needs_keywords = needs_keywords


def contract_of(signature):
    """One of the above. Raises SystemExit for a function that none of them can call."""
    names, required = signature.names, signature.required
    if not signature.needs_keywords and required <= 2:
        if len(names) >= 2 or signature.unlimited:
            return EVENT
        if len(names) == 1:
            return EVENT_ALONE if names[0] == "event" else TEXT
    shown = ", ".join(names)
    raise SystemExit("handle(%s) in function/handler.py fits no contract: it must be %s" % (shown, CONTRACTS))


def signature_of(handle):
    code = getattr(handle, "__code__", None)
    if code is None or hasattr(handle, "__wrapped__"):
        return inspected(handle)
    bound = 1 if getattr(handle, "__self__", None) is not None else 0
    names = code.co_varnames[bound : code.co_argcount]
    optional = handle.__kwdefaults__ or {}
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return Signature(
        names,
        len(names) - len(handle.__defaults__ or ()),
        bool(code.co_flags & CO_VARARGS),
        any(name not in optional for name in keywords),
    )


def inspected(handle):
    """For callables that are not plain functions: decorated ones, classes with __call__, partials."""
    import inspect

    try:
        parameters = inspect.signature(handle).parameters.values()
    except (TypeError, ValueError):
        return Signature(("event", "context"), 2)  # written in C; nothing is known of it
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return Signature(
        tuple(p.name for p in positional),
        sum(1 for p in positional if p.default is p.empty),
        any(p.kind is p.VAR_POSITIONAL for p in parameters),
        any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters),
    )


def is_async(handle):
    return bool(getattr(getattr(handle, "__code__", None), "co_flags", 0) & CO_COROUTINE)
