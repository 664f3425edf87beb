import { expect, test } from "@jest/globals";
import { Command } from "commander";
import { normalizeArguments } from "../../cli/normalize-arguments.ts";
import { jsonOf } from "./support/fake-gateway.ts";
import { accepted, FILES, openScene } from "./support/scene.ts";

/** Flags as scripts have them that were written for `faas-cli`, whose flags are Go's. */
const program = new Command("faaslane")
  .option("-f, --yaml <file>")
  .addCommand(
    new Command("logs")
      .option("-t, --tail")
      .option("--no-tail")
      .option("-v, --verbose")
      .option("--no-cache")
      .option("-e, --env <key=value>"),
  );

test.each([
  ["logs --tail=true", "logs --tail"],
  ["logs --tail=0", "logs --no-tail"],
  ["logs -t=F", "logs --no-tail"],
  ["logs -t=1", "logs -t"],
  ["logs -v=TRUE", "logs -v"],
  ["logs --verbose=False x", "logs x"],
  ["logs --no-cache=true", "logs --no-cache"],
  ["logs --no-cache=false", "logs"],
  ["logs -e=A=B", "logs -e A=B"],
  ["-f=stack.yml logs", "-f stack.yml logs"],
  ["logs --env=A=true", "logs --env=A=true"],
  ["logs --env -t=false", "logs --env -t=false"],
  ["logs -e -t=false -t=false", "logs -e -t=false --no-tail"],
  ["logs -- -t=false", "logs -- -t=false"],
  ["logs --unknown=true -x=1 -", "logs --unknown=true -x=1 -"],
])("%s is %s", (given, meant) => {
  expect(normalizeArguments(given.split(" "), program).join(" ")).toBe(meant);
});

test("an empty value stays one", () => {
  expect(normalizeArguments(["logs", "-e=", "x"], program)).toEqual(["logs", "-e", "", "x"]);
});

test("what is on or off is nothing else", async () => {
  await using scene = await openScene(accepted);
  const { code, stderr } = await scene.run("list --quiet=maybe");
  expect([code, stderr]).toEqual([1, 'Error: --quiet must be true or false, not "maybe"\n']);
  expect(scene.asked()).toEqual([]);
});

test("up takes a function by flags alone, as build and deploy do", async () => {
  const built = { status: 200, body: '{"status":"success","image":"one:1@sha256:00"}\n' };
  const { "stack.yml": _, ...files } = FILES;
  await using scene = await openScene(({ path }) => (path.startsWith("/system/build") ? built : accepted()), files);
  const flags = "--image=one:1 --handler=hello --lang=node --name=one --fprocess=own --memory-limit=9Mi --timeout=9s";
  expect(await scene.run(`up ${flags} -e=A=B`)).toMatchObject({ code: 0 });
  expect(jsonOf(scene.gateway.seen.at(-1) as never)).toMatchObject({
    service: "one",
    envProcess: "own",
    envVars: { A: "B" },
    limits: { memory: "9Mi" },
  });
  expect(await scene.run(`up --watch ${flags}`)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("--watch needs a stack file"),
  });
});
