// Many clients of one port, in a process of their own: they would keep a test's from its work.
import { connect } from "node:net";

/** At a time; more would overrun the queue of connections that nobody has accepted yet. */
const DIALLED_AT_A_TIME = 200;

const [port, kind, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const sockets = new Set();
let ready = 0;
let lost = 0;

/** Resolves when it has what it wants for now, or is closed. */
function open() {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    sockets.add(socket);
    let timer;
    const settled = () => {
      ready += 1;
      resolve();
    };
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(timer);
      sockets.delete(socket);
      lost += 1;
      resolve();
    });
    if (kind === "idle") {
      socket.once("data", settled);
      socket.write("GET /function/f HTTP/1.1\r\nHost: x\r\n\r\n");
      return;
    }
    const head = "POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n";
    socket.resume().write(kind === "slow-head" ? head : `${head}\r\n`, settled);
    let sent = 0;
    timer = setInterval(() => socket.write(kind === "slow-head" && sent++ === 0 ? "X" : "x"), 1_000);
  });
}

async function dial() {
  while (started < count) {
    started += 1;
    await open();
  }
}
let started = 0;
process.on("message", () => process.send({ open: sockets.size, lost }));
process.on("disconnect", () => process.exit());
await Promise.all(Array.from({ length: DIALLED_AT_A_TIME }, dial));
process.send({ ready });
