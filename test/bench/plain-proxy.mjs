// The plain alternative to the gateway: Express in, `http.request` out. Nothing else that a gateway does.
import { Agent, request } from "node:http";
import express from "express";

const target = new URL(process.argv[2]);
const agent = new Agent({ keepAlive: true });
const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.use((req, res) => {
  const upstream = request(
    { agent, host: target.hostname, port: target.port, method: req.method, path: req.url, headers: req.headers },
    (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    },
  );
  upstream.on("error", () => res.destroy());
  req.pipe(upstream);
});
const server = app.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.on("disconnect", () => process.exit());
