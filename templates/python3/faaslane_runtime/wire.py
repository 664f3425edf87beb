"""HTTP/1.1 between the watchdog and this process, and no more of it than that needs.

http.server would do, but importing it doubles the time to start and its parser costs more than most handlers.
"""

MAX_HEAD_BYTES = 256 * 1024  # as much as the gateway takes
MAX_LINE_BYTES = 4 * 1024
RECV_BYTES = 64 * 1024
# Below this, copying head and body into one buffer is cheaper than a second system call.
JOIN_BYTES = 64 * 1024


class Refusal(Exception):
    """A request that never reaches the handler. The connection cannot be used again."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


class Disconnected(Exception):
    """The other side went away in the middle of a request."""


class Headers(dict):
    """Request headers by Title-Case name; looked up in any case. Repeated ones are joined by a comma."""

    def __getitem__(self, name):
        return dict.__getitem__(self, name.title())

    def __contains__(self, name):
        return isinstance(name, str) and dict.__contains__(self, name.title())

    def get(self, name, default=None):
        return dict.get(self, name.title(), default)


class Request:
    __slots__ = ("method", "target", "headers", "body", "keep_alive", "_path")

    @property
    def path(self):
        """Decoded, without the query."""
        try:
            return self._path
        except AttributeError:
            self._path = decode_path(self.target.partition("?")[0])
            return self._path


def decode_path(path):
    if "%" not in path and path.isascii():
        return path
    from urllib.parse import unquote_to_bytes  # slow to import, and most paths need no decoding

    return unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "replace")


class Connection:
    def __init__(self, sock, max_body_bytes):
        self._sock = sock
        self._max_body_bytes = max_body_bytes
        self._buffer = b""

    def read_request(self):
        """The next request; None when the other side has closed between two. Raises Refusal and Disconnected."""
        head = self._read_head()
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        request = Request()
        try:
            request.method, request.target, version = lines[0].split(" ")
        except ValueError:
            raise Refusal(400, "malformed request line") from None
        if not version.startswith("HTTP/1."):
            raise Refusal(505, "only HTTP/1.1 is spoken here")
        headers = request.headers = parse_headers(lines)
        connection = headers.get("Connection", "").lower()
        request.keep_alive = "close" not in connection and (version != "HTTP/1.0" or "keep-alive" in connection)
        request.body = self._read_body(headers)
        return request

    def write(self, head, body=b""):
        if len(body) <= JOIN_BYTES:
            self._sock.sendall(head + body)
        else:
            self._sock.sendall(head)
            self._sock.sendall(body)

    def _receive(self):
        chunk = self._sock.recv(RECV_BYTES)
        if not chunk:
            raise Disconnected()
        return chunk

    def _read_head(self):
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end != -1:
                self._buffer = buffer[end + 4 :]
                return buffer[:end]
            if len(buffer) > MAX_HEAD_BYTES:
                raise Refusal(431, "headers are larger than %d bytes" % MAX_HEAD_BYTES)
            chunk = self._sock.recv(RECV_BYTES)
            if not chunk:
                if buffer:
                    raise Disconnected()
                return None
            buffer += chunk

    def _read_body(self, headers):
        length = headers.get("Content-Length")
        coding = headers.get("Transfer-Encoding")
        if length is None and coding is None:
            return b""
        # Both at once, or two lengths, is how requests are smuggled past a proxy (RFC 9112, section 6.3).
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            raise Refusal(400, "unusable Transfer-Encoding")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise Refusal(400, "unusable Content-Length")
        if length is not None and int(length) > self._max_body_bytes:
            raise self._too_large()
        if headers.get("Expect", "").lower() == "100-continue" and not self._buffer:
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._read_chunks() if length is None else self._read_exactly(int(length))

    def _read_exactly(self, length):
        buffer = self._buffer
        if len(buffer) < length:
            parts, have = [buffer], len(buffer)
            while have < length:
                chunk = self._receive()
                parts.append(chunk)
                have += len(chunk)
            buffer = b"".join(parts)
        self._buffer = buffer[length:]
        return buffer[:length]

    def _read_line(self):
        while True:
            end = self._buffer.find(b"\r\n")
            if end != -1:
                line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
                return line
            if len(self._buffer) > MAX_LINE_BYTES:
                raise Refusal(400, "a line of a chunked body is too long")
            self._buffer += self._receive()

    def _read_chunks(self):
        parts, total = [], 0
        while True:
            size = parse_chunk_size(self._read_line())
            if size == 0:
                break
            total += size
            if total > self._max_body_bytes:
                raise self._too_large()
            parts.append(self._read_exactly(size))
            if self._read_line() != b"":
                raise Refusal(400, "malformed chunk")
        for _ in range(64):  # trailers, which nobody reads
            if self._read_line() == b"":
                return b"".join(parts)
        raise Refusal(400, "too many trailers")

    def _too_large(self):
        return Refusal(413, "body is larger than %d bytes (MAX_BODY_SIZE)" % self._max_body_bytes)

    def discard(self, seconds):
        """Reads what is still coming, so that closing does not reset the connection before the answer is read."""
        try:
            self._sock.settimeout(seconds)
            self._sock.shutdown(1)  # SHUT_WR
            while self._sock.recv(RECV_BYTES):
                pass
        except OSError:
            pass  # they have stopped caring as well


def parse_headers(lines):
    headers = Headers()
    for index in range(1, len(lines)):
        name, colon, value = lines[index].partition(":")
        if not colon or not name or name != name.strip():
            raise Refusal(400, "malformed header line")
        name = name.title()
        value = value.strip(" \t")
        if name in headers:
            separator = "; " if name == "Cookie" else ", "
            value = dict.__getitem__(headers, name) + separator + value
        dict.__setitem__(headers, name, value)
    return headers


def parse_chunk_size(line):
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise Refusal(400, "malformed chunk size")
    return int(digits, 16)
