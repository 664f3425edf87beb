def handle(req):
    """`req` is the request's body as text. What is returned, Flask makes an answer of: a text, a dict, or
    (body, status, headers). `from flask import request` has the rest of the request.
    """
    return req
