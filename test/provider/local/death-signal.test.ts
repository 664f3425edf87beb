import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "@jest/globals";
import { findDeathSignal } from "../../../provider/backends/local/death-signal.ts";
import { eventually } from "../../support/eventually.ts";
import { testNeeding } from "../../support/needing.ts";
import { isAlive } from "../../support/platform.ts";

const prefix = findDeathSignal(process.env.PATH ?? "");
const testWithPrefix = testNeeding(prefix.length > 0 ? undefined : "util-linux's setpriv is not on this machine");

test("without the program there is no prefix", () => {
  expect(findDeathSignal("/nowhere:relative")).toEqual([]);
});

testWithPrefix("a process that never yields dies with the one that started it", async () => {
  const busy = [...prefix, process.execPath, "-e", "console.log(process.pid); for (;;);"];
  const script = `
    const { spawn } = require("node:child_process");
    const [command, ...args] = JSON.parse(process.argv[1]);
    spawn(command, args, { detached: true, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  `;
  const parent = spawn(process.execPath, ["-e", script, JSON.stringify(busy)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [chunk] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(chunk.toString());
  expect(isAlive(pid)).toBe(true);
  parent.kill("SIGKILL");
  await eventually("it is gone", () => !isAlive(pid));
});
