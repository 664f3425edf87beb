import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  deployment,
  ECHO,
  echo,
  endpointsOf,
  type LocalFixture,
  NAMESPACE,
  openFixture,
  ref,
  until,
  untilReady,
} from "./support.ts";

let fixture: LocalFixture;
beforeEach(async () => {
  fixture = await openFixture();
  await fixture.addImage("echo", ECHO);
  for (const name of ["a", "b", "c"]) await fixture.backend.secrets.create(ref(name), Buffer.from(`value of ${name}`));
});
afterEach(async () => {
  await fixture.close();
});

test("a function reads its own secrets and no others, from files that only this user can read", async () => {
  const { backend } = fixture;
  await backend.functions.create(deployment("fn", "echo", { secrets: ["b", "a"] }));
  await untilReady(backend, "fn");
  const reply = await echo(backend, "fn", "/?secret=a");
  expect(reply.secrets.sort()).toEqual(["a", "b"]);
  expect(reply.secret).toBe("value of a");
  const folder = reply.env.FAASLANE_SECRETS_DIR as string;
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(join(folder, "a"))).mode & 0o777).toBe(0o600);
  expect((await stat(join(fixture.dataDir, "secrets", NAMESPACE, "a"))).mode & 0o777).toBe(0o600);
  expect((await stat(join(fixture.dataDir, "provider.db"))).mode & 0o777).toBe(0o600);
});

test("a new value reaches running functions without a restart", async () => {
  const { backend } = fixture;
  await backend.functions.create(deployment("fn", "echo", { secrets: ["a"] }));
  await untilReady(backend, "fn");
  const { pid } = await echo(backend, "fn");
  // Many at once: the last one written has to be the one that is read.
  await Promise.all([1, 2, 3, 4, 5].map((n) => backend.secrets.update(ref("a"), Buffer.from(`value ${n}`))));
  expect(await echo(backend, "fn", "/?secret=a")).toMatchObject({ pid, secret: "value 5", secrets: ["a"] });
});

test("a sleeping function wakes with the new value, also after a restart of the platform", async () => {
  await fixture.backend.functions.create(deployment("fn", "echo", { secrets: ["a"] }));
  await fixture.backend.functions.scale(ref("fn"), 0);
  await fixture.backend.secrets.update(ref("a"), Buffer.from("new"));
  await fixture.reopen();
  await fixture.backend.functions.scale(ref("fn"), 1);
  await untilReady(fixture.backend, "fn");
  expect((await echo(fixture.backend, "fn", "/?secret=a")).secret).toBe("new");
});

test("an update changes which secrets a function has", async () => {
  const { backend } = fixture;
  await backend.functions.create(deployment("fn", "echo", { secrets: ["a"] }));
  await untilReady(backend, "fn");
  const { generation } = await endpointsOf(backend, "fn");
  await backend.functions.update(deployment("fn", "echo", { secrets: ["b", "c"] }));
  await until("the new version serves alone", async () => {
    const now = await endpointsOf(backend, "fn");
    return now.endpoints.length === 1 && now.endpoints[0]?.instance.startsWith(`fn-${generation + 1}-`);
  });
  expect((await echo(backend, "fn")).secrets.sort()).toEqual(["b", "c"]);
});

test("a function keeps the copy of a secret that was removed, also after a restart", async () => {
  await fixture.backend.functions.create(deployment("fn", "echo", { secrets: ["a"] }));
  await untilReady(fixture.backend, "fn");
  await fixture.backend.secrets.remove(ref("a"));
  await fixture.reopen();
  await untilReady(fixture.backend, "fn");
  expect((await echo(fixture.backend, "fn", "/?secret=a")).secret).toBe("value of a");
});

test("a name that would leave the folder is never a file", async () => {
  const evil = { name: "../../escaped", namespace: NAMESPACE };
  await expect(fixture.backend.secrets.create(evil, Buffer.from("x"))).rejects.toMatchObject({ kind: "invalid" });
  const sneaky = deployment("fn", "echo", { secrets: ["../../provider.db"] });
  await expect(fixture.backend.functions.create(sneaky)).rejects.toMatchObject({ kind: "invalid" });
});

test("what an interrupted write has left is swept at the next start", async () => {
  const folder = join(fixture.dataDir, "secrets", NAMESPACE);
  await writeFile(join(folder, ".a.123456"), "half");
  await fixture.reopen();
  expect((await readdir(folder)).sort()).toEqual(["a", "b", "c"]);
  expect((await fixture.backend.secrets.list(NAMESPACE)).map(({ name }) => name)).toEqual(["a", "b", "c"]);
});
