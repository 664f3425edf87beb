"""From what a handler returned to bytes."""

import json

from .response import is_response, unpack

HTML = "text/html; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"
ANSWER_KEYS = {"statusCode", "body", "headers"}
READ_BYTES = 64 * 1024


class BadAnswer(Exception):
    """The handler returned something that HTTP cannot say."""


class BrokenAnswer(Exception):
    """The handler failed in the middle of a streamed answer."""


def to_answer(result):
    """(status, [(name, value)], bytes or an iterator of chunks). Raises BadAnswer."""
    status, headers, body = split_result(result)
    payload, content_type = to_payload(body)
    pairs = [(str(name), str(value)) for name, value in header_pairs(headers)]
    for name, value in pairs:
        check_header(name, value)
    # The length is that of what is sent, whatever the handler believes: a wrong one would corrupt the connection.
    pairs = [pair for pair in pairs if pair[0].lower() not in ("content-length", "transfer-encoding", "connection")]
    if content_type and not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", content_type))
    return check_status(status), pairs, payload


def split_result(result):
    """(status, headers, body) of what may be all of them, or the body alone."""
    # One key more, and the dict is the function's own: an answer must not lose what it holds.
    if isinstance(result, dict) and ANSWER_KEYS.issuperset(result):
        return result.get("statusCode", 200), result.get("headers"), result.get("body")
    if isinstance(result, tuple) and 0 < len(result) <= 3:  # as Flask has it: body, status, headers
        return split_tuple(*result)
    if is_response(result):
        return unpack(result)
    return 200, None, result


def split_tuple(body, *rest):
    if len(rest) == 1 and isinstance(rest[0], (dict, list)):
        rest = (None, rest[0])
    status, headers, body = unpack(body) if is_response(body) else (200, None, body)
    if rest and rest[0] is not None:
        status = rest[0]
    if len(rest) == 2:
        headers = header_pairs(headers) + header_pairs(rest[1])
    return status, headers, body


def to_payload(body):
    if isinstance(body, str):
        return body.encode("utf-8", "surrogateescape"), HTML
    if body is None:
        return b"", None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), BINARY
    if isinstance(body, (dict, list, tuple, bool, int, float)):
        return json.dumps(body, ensure_ascii=False, allow_nan=False, default=str).encode(), JSON
    if hasattr(body, "read"):
        return file_chunks(body), file_type(body)
    if hasattr(body, "__next__"):
        return body, HTML
    if hasattr(body, "__aiter__") or hasattr(body, "__await__"):
        raise BadAnswer("%s cannot be sent: each call has its own thread, nothing async runs here" % type(body).__name__)
    return str(body).encode(), HTML


def file_chunks(file):
    try:
        while True:
            chunk = file.read(READ_BYTES)
            if not chunk:
                return
            yield chunk
    finally:
        if hasattr(file, "close"):
            file.close()


def file_type(file):
    name = getattr(file, "name", None)
    if isinstance(name, str):
        import mimetypes  # slow to import

        guessed, encoding = mimetypes.guess_type(name)
        if guessed and not encoding:
            return guessed
    return "text/plain; charset=utf-8" if hasattr(file, "encoding") else BINARY


def header_pairs(headers):
    """Names and values; a list of values is as many headers."""
    if not headers:
        return []
    pairs = []
    for name, value in headers.items() if hasattr(headers, "items") else headers:
        pairs += [(name, one) for one in value] if isinstance(value, (list, tuple)) else [(name, value)]
    return pairs


def check_header(name, value):
    token = name.replace("-", "").replace("_", "")
    if not (token.isascii() and token.isalnum()):
        raise BadAnswer("%r is not the name of a header" % name)
    if any(ord(char) < 32 and char != "\t" or ord(char) == 127 for char in value):
        raise BadAnswer("header %s holds a control character" % name)
    if any(ord(char) > 255 for char in value):
        raise BadAnswer("header %s holds a character outside Latin-1" % name)


def check_status(status):
    try:
        status = int(status)
    except (TypeError, ValueError):
        raise BadAnswer("%r is not an HTTP status" % (status,)) from None
    if not 200 <= status <= 599:
        raise BadAnswer("%d is not an HTTP status" % status)
    return status


def write_answer(connection, method, answer, keep_alive):
    status, headers, payload = answer
    lines = ["HTTP/1.1 %d " % status]
    lines += ["%s: %s" % pair for pair in headers]
    lines.append("Connection: keep-alive" if keep_alive else "Connection: close")
    streamed = not isinstance(payload, bytes)
    bodyless = method == "HEAD" or status in (204, 304)
    if streamed and not bodyless:
        lines.append("Transfer-Encoding: chunked")
    elif not streamed and status not in (204, 304):
        lines.append("Content-Length: %d" % len(payload))
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if bodyless:
        if hasattr(payload, "close"):
            payload.close()
        connection.write(head)
    elif streamed:
        write_chunks(connection, head, payload)
    else:
        connection.write(head, payload)


def write_chunks(connection, head, chunks):
    """Raises BrokenAnswer when the handler's iterator fails: without a last chunk the caller sees a broken answer."""
    connection.write(head)
    try:
        for data in encoded(chunks):
            connection.write(b"%x\r\n" % len(data), data + b"\r\n")
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    connection.write(b"0\r\n\r\n")


def encoded(chunks):
    iterator = iter(chunks)
    while True:
        try:
            chunk = next(iterator)
            data = chunk.encode() if isinstance(chunk, str) else bytes(memoryview(chunk))
        except StopIteration:
            return
        except Exception as error:  # told apart from a failing connection, which may be an OSError too
            raise BrokenAnswer() from error
        if data:  # an empty chunk would end the body
            yield data
