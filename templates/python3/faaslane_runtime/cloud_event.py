"""CloudEvents 1.0 over HTTP: https://github.com/cloudevents/spec"""

import json
import re

STRUCTURED = "application/cloudevents+json"
NAME = re.compile(r"[a-z0-9]{1,64}\Z")
PLAIN = set(range(0x21, 0x7F)) - {0x22, 0x25}


class BadEvent(Exception):
    """The handler returned an event that HTTP cannot carry."""


def carries_event(headers):
    """Whether a request has one event: as headers, or as JSON in its body."""
    return "Ce-Specversion" in headers or is_structured(headers)


def is_structured(headers):
    return headers.get("Content-Type", "").lower().startswith(STRUCTURED)


def read_event(headers, body):
    """The event of a request, as a dict of its attributes and "data"; None when it has none."""
    if is_structured(headers):
        return from_json(body)
    event = {name[3:].lower(): decode(value) for name, value in headers.items() if name.startswith("Ce-")}
    content_type = headers.get("Content-Type")
    if content_type is not None:
        event["datacontenttype"] = content_type
    if body:
        event["data"] = parse(body) if is_json(content_type) else text_or_bytes(body, content_type)
    return event


def from_json(body):
    event = parse(body)
    if not isinstance(event, dict):
        return None
    encoded = event.pop("data_base64", None)
    if isinstance(encoded, str):
        from base64 import b64decode

        event["data"] = b64decode(encoded)
    return event


def is_json(content_type):
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind.endswith("/json") or kind.endswith("+json")


def parse(body):
    """What is no JSON, though it says so, stays bytes."""
    try:
        return json.loads(body)
    except ValueError:
        return body


def text_or_bytes(body, content_type):
    if not (content_type or "").lower().startswith("text/"):
        return body
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body


def decode(value):
    """What cannot be decoded stays as it came: brokers let nothing of the kind through."""
    from urllib.parse import unquote_to_bytes

    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        return value


def is_event(value):
    """Whether what a handler returned is an event: a reply to the one that it got."""
    return isinstance(value, dict) and value.get("specversion") == "1.0" and isinstance(value.get("type"), str)


def encode_event(event):
    """(status, headers, body) of a reply. It gets an id when it has none. Raises BadEvent."""
    attributes = dict(event)
    data, content_type = attributes.pop("data", None), attributes.pop("datacontenttype", None)
    encoded = attributes.pop("data_base64", None)
    if isinstance(encoded, str):
        from base64 import b64decode

        data = b64decode(encoded)
    if not attributes.get("source"):
        raise BadEvent("the event that is returned has no source")
    if not attributes.get("id"):
        from uuid import uuid4

        attributes["id"] = str(uuid4())
    headers = [("ce-" + name, encode(name, value)) for name, value in attributes.items() if value is not None]
    body, content_type = encode_data(data, content_type, "data" in event)
    return 200, headers + ([("Content-Type", content_type)] if content_type else []), body


def encode_data(data, content_type, given):
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), content_type or "application/octet-stream"
    if data is None and not given:
        return None, content_type
    if isinstance(data, str) and not is_json(content_type):
        return data.encode(), content_type or "text/plain; charset=utf-8"
    return json.dumps(data, ensure_ascii=False, allow_nan=False, default=str).encode(), content_type or "application/json"


def encode(name, value):
    """Everything but what a header may have as it is, as UTF-8 in percent."""
    if not isinstance(name, str) or not NAME.match(name):
        raise BadEvent("%r is no name of an event's attribute: a-z and 0-9" % (name,))
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int)):
        raise BadEvent("%s: is no text" % name)
    return "".join(chr(byte) if byte in PLAIN else "%%%02X" % byte for byte in str(value).encode("utf-8"))
