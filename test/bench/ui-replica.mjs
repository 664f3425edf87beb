// Answers whatever it gets, with as little work as can be: what is measured is in front of it.
import { createServer } from "node:net";

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

const server = createServer((socket) => {
  let rest = "";
  socket.setNoDelay(true).setEncoding("latin1");
  socket.on("error", () => {});
  socket.on("data", (text) => {
    const heads = (rest + text).split("\r\n\r\n");
    rest = heads.pop() ?? "";
    if (heads.length > 0) socket.write(ANSWER.repeat(heads.length));
  });
});
server.listen(0, "127.0.0.1", () => process.send(server.address().port));
process.on("disconnect", () => process.exit());
