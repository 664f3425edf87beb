import { createServer } from "node:http";

createServer(async (req, res) => {
  let body = "";
  for await (const chunk of req.setEncoding("utf8")) body += chunk;
  res.end(`${req.method} ${req.url} with: ${body}\n`);
}).listen(8080);
