"""From what a handler returned to bytes."""

import json

HTML = "text/html; charset=utf-8"
JSON = "application/json"
BINARY = "application/octet-stream"
ANSWER_KEYS = ("statusCode", "body", "headers")


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
    if isinstance(result, dict) and (not result or any(key in result for key in ANSWER_KEYS)):
        return result.get("statusCode", 200), result.get("headers"), result.get("body")
    if isinstance(result, tuple) and 0 < len(result) <= 3:  # as Flask has it: body, status, headers
        body, rest = result[0], result[1:]
        if len(rest) == 1 and isinstance(rest[0], (dict, list)):
            return 200, rest[0], body
        return (rest[0] if rest else 200), (rest[1] if len(rest) == 2 else None), body
    return 200, None, result


def to_payload(body):
    if isinstance(body, str):
        return body.encode(), HTML
    if body is None:
        return b"", None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), BINARY
    if isinstance(body, (dict, list, tuple, bool, int, float)):
        return json.dumps(body, ensure_ascii=False, allow_nan=False, default=str).encode(), JSON
    if hasattr(body, "__next__"):
        return body, HTML
    return str(body).encode(), HTML


def header_pairs(headers):
    if not headers:
        return []
    return list(headers.items()) if hasattr(headers, "items") else list(headers)


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
