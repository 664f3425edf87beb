// The function of the tables in test/compat: answers with what it received, or misbehaves as its query asks. An inproc handler for
// the watchdog, and a listener for plain `node:http` servers.
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

export default async function reflect(req, res) {
  const query = new URL(req.url, "http://reflect").searchParams;
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);

  const sleep = query.get("sleep");
  if (sleep) await delay(Number.parseFloat(sleep) * 1000);
  if (query.get("hang")) {
    res.socket.destroy();
    return;
  }
  if (query.get("abort")) {
    res.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", "Content-Length": "100" });
    res.write("half", () => res.socket.destroy());
    return;
  }
  if (query.get("sse")) {
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    for (let i = 0; i < 3; i++) {
      res.write(`data: ${i}\n\n`);
      await delay(20);
    }
    res.end();
    return;
  }
  if (query.get("hold")) {
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    res.write("data: 0\n\n");
    await once(res, "close"); // nothing follows for as long as somebody listens
    return;
  }
  if (query.get("chunks")) {
    res.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" });
    for (let i = 0; i < 3; i++) res.write(`part ${i}\n`);
    res.end();
    return;
  }
  if (query.get("trailer")) {
    res.writeHead(200, { "Content-Type": "text/plain; charset=utf-8", Trailer: "X-Trailer" });
    res.write("body");
    res.addTrailers({ "X-Trailer": "t" });
    res.end();
    return;
  }

  const headers = {};
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i].toLowerCase().replace(/(^|-)[a-z]/g, (c) => c.toUpperCase());
    if (name === "Host" || name === "Connection" || name === "Content-Length" || name === "Transfer-Encoding") continue;
    headers[name] = [...(headers[name] ?? []), req.rawHeaders[i + 1]];
  }
  const length = req.headers["content-length"];
  const chunked = req.headers["transfer-encoding"];
  const answer = {
    body: Buffer.concat(chunks).toString("utf8"),
    contentLength: chunked ? -1 : Number(length ?? 0),
    headers,
    host: req.headers.host,
    method: req.method,
    proto: `HTTP/${req.httpVersion}`,
    requestURI: req.url,
    transferEncoding: chunked ? [chunked] : null,
  };
  const status = Number(query.get("status") ?? 200);
  const body = Buffer.from(`${JSON.stringify(answer)}\n`);
  const bodiless = status === 204 || status === 304;
  res.writeHead(status, {
    ...(query.get("noct") || status === 304 ? {} : { "Content-Type": "application/json" }),
    ...(bodiless ? {} : { "Content-Length": body.length }),
    "Set-Cookie": "a=b",
    "X-Multi": ["one", "two"],
  });
  res.end(bodiless || req.method === "HEAD" ? undefined : body);
}
