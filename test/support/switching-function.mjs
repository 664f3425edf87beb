// A function's own server that goes on with other protocols: WebSockets at /ws, plain bytes at the other paths.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const server = createServer((req, res) => {
  res.writeHead(200, { "X-Upgrade": req.headers.upgrade ?? "none", "X-Connection": req.headers.connection ?? "none" });
  if (req.url === "/pid") res.end(String(process.pid));
  else res.end("plain");
});

server.on("upgrade", (req, socket, head) => {
  socket.on("error", () => {});
  socket.setNoDelay(true);
  const path = req.url.split("?")[0];
  if (path === "/refuse") {
    socket.end("HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nX-Why: age\r\n\r\nrefused");
  } else if (path === "/ignore") {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nignored");
  } else if (path === "/other") {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: gopher\r\nConnection: Upgrade\r\n\r\nhello");
  } else if (path === "/vague") {
    socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\nhello");
  } else if (path !== "/never") {
    if (head.length > 0) socket.unshift(head);
    const accept = createHash("sha1").update(`${req.headers["sec-websocket-key"]}${GUID}`).digest("base64");
    const seen = {
      url: req.url,
      host: req.headers.host,
      connection: req.headers.connection,
      upgrade: req.headers.upgrade,
    };
    const early = path === "/early" ? "early bytes" : "";
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${req.headers.upgrade.split(",")[0]}\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Accept: ${accept}\r\nX-Seen: ${JSON.stringify(seen)}\r\nContent-Length: 5\r\n\r\n${early}`,
    );
    serve(path, socket);
  }
});

function serve(path, socket) {
  switch (path) {
    case "/ws":
      return serveWebSocket(socket);
    case "/count": {
      let bytes = 0;
      socket.on("data", (piece) => (bytes += piece.length));
      return socket.on("end", () => socket.end(String(bytes)));
    }
    case "/farewell":
      socket.end("farewell");
      return socket.on("data", (piece) => process.stdout.write(`after farewell: ${piece}\n`));
    case "/flood":
      return flood(socket, 64 * 1024 * 1024);
    case "/deaf":
      return socket.pause();
    case "/reset":
      return socket.once("data", () => socket.resetAndDestroy());
    case "/die":
      return socket.once("data", () => process.exit(3));
    default:
      return socket.pipe(socket);
  }
}

function flood(socket, bytes) {
  const piece = Buffer.alloc(64 * 1024, "x");
  let left = bytes;
  const more = () => {
    while (left > 0) {
      left -= piece.length;
      if (!socket.write(piece)) return;
    }
    socket.end();
  };
  socket.on("drain", more);
  socket.resume();
  more();
}

function serveWebSocket(socket) {
  let text = Buffer.alloc(0);
  let parts = [];
  let kind = 0;
  socket.on("data", (piece) => {
    text = Buffer.concat([text, piece]);
    for (let frame = readFrame(text); frame; frame = readFrame(text)) {
      text = text.subarray(frame.end);
      if (frame.opcode === 9) socket.write(frameOf(10, frame.payload));
      else if (frame.opcode === 8) socket.end(frameOf(8, frame.payload));
      else {
        if (frame.opcode !== 0) kind = frame.opcode;
        parts.push(frame.payload);
        if (frame.fin) {
          socket.write(frameOf(kind, Buffer.concat(parts)));
          parts = [];
        }
      }
    }
  });
  socket.on("end", () => socket.end());
}

function readFrame(bytes) {
  if (bytes.length < 6) return undefined;
  let length = bytes[1] & 127;
  let at = 2;
  if (length === 126) {
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 14) return undefined;
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  const end = at + 4 + length;
  if (bytes.length < end) return undefined;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, end));
  for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i % 4];
  return { fin: (bytes[0] & 128) !== 0, opcode: bytes[0] & 15, payload, end };
}

function frameOf(opcode, payload) {
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
  head[0] = 128 | opcode;
  if (head.length === 2) head[1] = payload.length;
  else if (head.length === 4) {
    head[1] = 126;
    head.writeUInt16BE(payload.length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([head, payload]);
}

server.listen(process.env.PORT, "127.0.0.1");
