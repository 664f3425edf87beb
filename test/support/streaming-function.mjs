// A function's own server that streams both ways, with trailers and interim answers.
import { createServer } from "node:http";

const server = createServer();
server.on("checkContinue", (req, res) => {
  if (req.url.startsWith("/unwilling")) res.writeHead(413, { Connection: "close" }).end("too much for me");
  else {
    res.writeContinue();
    server.emit("request", req, res);
  }
});
server.on("request", (req, res) => {
  const { pathname, searchParams } = new URL(req.url, "http://x");
  switch (pathname) {
    case "/events": {
      // The next one is sent when the caller has told that it has the one before: held up anywhere, nothing moves.
      res.writeHead(200, { "Content-Type": searchParams.get("type") ?? "text/event-stream" });
      res.flushHeaders();
      waiting.set(searchParams.get("id"), res);
      return;
    }
    case "/next":
      waiting.get(searchParams.get("id"))?.write(`data: ${searchParams.get("text")}\n\n`);
      return res.end();
    case "/done":
      waiting.get(searchParams.get("id"))?.end();
      return res.end();
    case "/hints":
      res.writeProcessing();
      res.writeEarlyHints({ link: "</style.css>; rel=preload" });
      return void setTimeout(() => res.end("hinted"), 20);
    case "/trailers":
      res.writeHead(200, { Trailer: "X-Sum" });
      req.on("data", (piece) => res.write(piece));
      return req.on("end", () => {
        res.addTrailers({ "X-Sum": JSON.stringify(req.trailers) });
        res.end();
      });
    case "/large": {
      let left = Number(searchParams.get("bytes"));
      const piece = Buffer.alloc(64 * 1024, "x");
      const more = () => {
        while (left > 0) {
          left -= piece.length;
          if (!res.write(piece)) return res.once("drain", more);
        }
        res.end();
      };
      return more();
    }
    default: {
      let bytes = 0;
      req.on("data", (piece) => (bytes += piece.length));
      return req.on("end", () => res.end(`${req.method} ${req.url} ${bytes}`));
    }
  }
});
const waiting = new Map();
server.listen(process.env.PORT, "127.0.0.1");
