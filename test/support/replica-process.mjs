// A replica by itself, to be killed or stopped: answers with its process id, after `ms` milliseconds if asked for.
import { createServer } from "node:http";

const server = createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  const { searchParams } = new URL(req.url, "http://x");
  req.resume().on("end", () => {
    setTimeout(() => res.end(String(process.pid)), Number(searchParams.get("ms") ?? 0));
  });
});
server.listen(0, "127.0.0.1", () => process.send(server.address().port));
process.on("disconnect", () => process.exit());
