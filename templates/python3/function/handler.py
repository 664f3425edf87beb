def handle(req):
    """`req` is the request's body as text; what is returned, or printed, is the answer.

    With the parameters (event, context) the function gets the whole request instead.
    """
    return req
