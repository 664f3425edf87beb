"""Part of the build: says what is wrong with a handler that could not serve any call. It only reads the file."""

import ast
import os

from .contract import ASYNC, MISSING, Signature, contract_of

HANDLER = "function/handler.py"


def check():
    """Raises SystemExit with one line that tells what to change."""
    if not os.path.exists(HANDLER):
        if os.path.isdir("function/handler"):
            return  # a package, which may bring the function from anywhere
        raise SystemExit("%s is missing" % HANDLER)
    with open(HANDLER, "rb") as file:
        source = file.read()
    try:
        tree = ast.parse(source, HANDLER)
    except SyntaxError as error:
        raise SystemExit("%s, line %s: %s" % (HANDLER, error.lineno, error.msg)) from None
    except ValueError as error:
        raise SystemExit("%s: %s" % (HANDLER, error)) from None
    handle = last_binding(tree)
    if handle is None:
        if not may_bind(tree):
            raise SystemExit(MISSING)
    elif isinstance(handle, ast.AsyncFunctionDef):
        raise SystemExit(ASYNC)
    elif isinstance(handle, ast.FunctionDef) and not handle.decorator_list:
        contract_of(signature_in(handle.args))


def last_binding(tree):
    """The statement that decides what `handle` is, as far as the outermost level tells."""
    found = None
    for statement in tree.body:
        if binds(statement):
            found = statement
    return found


def binds(node):
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name == "handle"
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any((name.asname or name.name) in ("handle", "*") for name in node.names)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return any(isinstance(name, ast.Name) and name.id == "handle" for name in ast.walk(node))
    return False


def may_bind(tree):
    """In a branch, in a loop, by way of globals()."""
    return any(
        binds(node)
        or (isinstance(node, ast.Name) and node.id in ("handle", "globals", "exec", "setattr"))
        or (isinstance(node, ast.FunctionDef) and node.name == "__getattr__")
        for node in ast.walk(tree)
    )


def signature_in(arguments):
    positional = getattr(arguments, "posonlyargs", []) + arguments.args
    return Signature(
        tuple(argument.arg for argument in positional),
        len(positional) - len(arguments.defaults),
        arguments.vararg is not None,
        any(default is None for default in arguments.kw_defaults),
    )


if __name__ == "__main__":
    check()
