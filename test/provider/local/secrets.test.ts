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

test("a secret's name may be as long as the contract allows, in the store and in a function", async () => {
  const { backend } = fixture;
  const name = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
  expect(name).toHaveLength(253);
  await backend.secrets.create(ref(name), Buffer.from("first"));
  await backend.functions.create(deployment("fn", "echo", { secrets: [name] }));
  await untilReady(backend, "fn");
  await backend.secrets.update(ref(name), Buffer.from("second"));
  expect(await echo(backend, "fn", `/?secret=${name}`)).toMatchObject({ secret: "second" });
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

test.each<[how: string, after: (fixture: LocalFixture) => Promise<void>]>([
  ["at once", async () => {}],
  ["after a restart of the platform", (fixture) => fixture.reopen()],
])("the value of one that was removed and made again reaches running functions, %s", async (_how, after) => {
  await fixture.backend.functions.create(deployment("fn", "echo", { secrets: ["a", "b"] }));
  await untilReady(fixture.backend, "fn");
  await fixture.backend.secrets.remove(ref("a"), true);
  await after(fixture);
  await untilReady(fixture.backend, "fn");
  const { pid, secret } = await echo(fixture.backend, "fn", "/?secret=a");
  expect(secret).toBe("value of a");
  await fixture.backend.secrets.create(ref("a"), Buffer.from("another"));
  expect(await echo(fixture.backend, "fn", "/?secret=a")).toMatchObject({
    pid,
    secret: "another",
    secrets: ["a", "b"],
  });
  await fixture.backend.secrets.update(ref("a"), Buffer.from("a third"));
  expect(await echo(fixture.backend, "fn", "/?secret=a")).toMatchObject({ pid, secret: "a third" });
});

test("a secret of that name in another namespace reaches nobody", async () => {
  const { backend } = fixture;
  await backend.namespaces.create({ name: "other" });
  await backend.functions.create(deployment("fn", "echo", { secrets: ["a"] }));
  await untilReady(backend, "fn");
  const other = { name: "a", namespace: "other" };
  await backend.secrets.create(other, Buffer.from("not theirs"));
  expect((await echo(backend, "fn", "/?secret=a")).secret).toBe("value of a");
  await backend.secrets.remove(other);
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
  await fixture.backend.secrets.remove(ref("a"), true);
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

test("a secret by which a function's callers are checked is in use, though the function does not have it", async () => {
  const { backend } = fixture;
  const annotations = { "com.faaslane.auth": "key", "com.faaslane.auth.secret": "a" };
  await backend.functions.create(deployment("fn", "echo", { annotations }));
  await expect(backend.secrets.remove(ref("a"))).rejects.toThrow("secret a is in use by the function fn");
  await untilReady(backend, "fn");
  expect((await echo(backend, "fn")).secrets).toEqual([]);
});
