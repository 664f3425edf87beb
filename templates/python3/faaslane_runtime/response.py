"""Responses as web frameworks and HTTP clients have them, known by what they offer: nothing is imported for them."""

READ_BYTES = 64 * 1024
BODIES = ("get_data", "content", "body", "body_iterator", "streaming_content")


def is_response(value):
    """Flask's and Werkzeug's, Django's, Starlette's, and those of requests and httpx."""
    return hasattr(value, "status_code") and hasattr(value, "headers") and any(hasattr(value, name) for name in BODIES)


def unpack(response):
    """(status, headers, body)"""
    return response.status_code, list(headers_of(response)), body_of(response)


def headers_of(response):
    headers = response.headers
    pairs = headers.multi_items() if hasattr(headers, "multi_items") else headers.items()
    # Clients have decoded what they have received.
    decoded = hasattr(response, "iter_content") or hasattr(response, "iter_bytes")
    return ((name, value) for name, value in pairs if not (decoded and name.lower() == "content-encoding"))


def body_of(response):
    if hasattr(response, "get_data") and not streams(response):
        return response.get_data()
    if hasattr(response, "iter_encoded"):
        return chunks(response, response.iter_encoded)
    if hasattr(response, "iter_content"):
        return chunks(response, lambda: response.iter_content(READ_BYTES))
    if hasattr(response, "iter_bytes"):
        return chunks(response, response.iter_bytes)
    if getattr(response, "streaming_content", None) is not None:
        return chunks(response, lambda: response.streaming_content)
    if hasattr(response, "body_iterator"):
        return response.body_iterator
    return response.body if hasattr(response, "body") else response.content


def streams(response):
    return getattr(response, "is_streamed", False) or getattr(response, "direct_passthrough", False)


def chunks(response, iterate):
    try:
        yield from iterate()
    finally:
        if hasattr(response, "close"):
            response.close()
