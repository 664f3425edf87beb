// A platform of another user: deploys a function behind a wall and tells on standard output what that sees.

import { call, deployment, inProcess, openFixture, readyAddresses, untilReady } from "./support.ts";

const [dataDir = "", watchdogPath = ""] = process.argv.slice(2);
const fixture = await openFixture({ dataDir, watchdogPath, sandbox: "required" });
await fixture.addImage(
  "fn",
  inProcess(`
    import { readdirSync } from "node:fs";
    export default (req, res) => {
      let outside = "visible";
      try { readdirSync(${JSON.stringify(dataDir)}); } catch (error) { outside = error.code; }
      const pids = readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).length;
      res.end(JSON.stringify({ uid: process.getuid(), pids, outside }));
    };
  `),
);
await fixture.backend.functions.create(deployment("fn", "fn"));
const { sandbox } = await untilReady(fixture.backend, "fn");
const [address = ""] = await readyAddresses(fixture.backend, "fn");
const { body } = await call(address);
process.stdout.write(`${JSON.stringify({ sandbox, ...JSON.parse(body) })}\n`);
await fixture.close();
