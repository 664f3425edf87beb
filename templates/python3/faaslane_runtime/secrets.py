"""Secrets are files; which folder they are in is the platform's choice."""

import os

MAX_NAME = 253


def read_secret(directory, name):
    """The text without its trailing line break. ValueError for a bad name, LookupError when there is no such secret."""
    if not is_name(name):
        raise ValueError("%r cannot be the name of a secret" % (name,))
    try:
        with open(os.path.join(directory, name), encoding="utf-8", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        message = 'this function has no secret "%s": list it under "secrets" in the stack file' % name
        raise LookupError(message) from None
    if text.endswith("\n"):
        text = text[:-1]
        if text.endswith("\r"):
            text = text[:-1]
    return text


def is_name(name):
    """A Kubernetes secret's key: no slash and no leading dot, so a name never leaves the folder."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isascii():
        return False
    inner = name.replace("-", "").replace("_", "").replace(".", "")
    return inner.isalnum() and name[0].isalnum() and name[-1].isalnum()
