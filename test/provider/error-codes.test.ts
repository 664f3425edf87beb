import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ERROR_CODES, ERROR_HEADER, type ErrorCode } from "../../contract/error-codes.ts";
import { FaasError, STATUS } from "../../contract/errors.ts";
import { createLogger } from "../../kit/log.ts";
import { listenForAnnouncements } from "../../provider/announce-app.ts";
import { eventually } from "../support/eventually.ts";
import { ROOT } from "../support/platform.ts";
import { FakeBackend } from "./fake-backend.ts";
import { serveProvider, type TestProvider } from "./support.ts";

let backend: FakeBackend;
let provider: TestProvider;
beforeEach(async () => {
  backend = new FakeBackend();
  provider = await serveProvider({ backend });
  await provider.call("POST", "/system/functions", { service: "f", image: "f:1" });
});
afterEach(() => provider.close());

async function expectCode(given: Response, code: ErrorCode): Promise<void> {
  await given.text();
  expect([given.headers.get(ERROR_HEADER), given.status]).toEqual([code, STATUS[ERROR_CODES[code]]]);
}

test.each<[cause: string, method: string, path: string, body: unknown, code: ErrorCode]>([
  ["a path that there is not", "GET", "/nowhere", undefined, "unknown_route"],
  ["a method that a route does not take", "PATCH", "/system/functions", undefined, "method_not_allowed"],
  ["a field that breaks a rule", "POST", "/system/functions", { service: "No Name" }, "invalid_request"],
  ["a function that exists", "POST", "/system/functions", { service: "f", image: "f:1" }, "conflict"],
  ["no such function", "GET", "/system/function/nobody", undefined, "unknown_function"],
  ["an update of no function", "PUT", "/system/functions", { service: "nobody", image: "f:1" }, "not_found"],
  ["a secret with a bad name", "POST", "/system/secrets", { name: "No Name", value: "x" }, "unprocessable"],
  ["a body that is too large", "POST", "/system/functions", "x".repeat(5_000_000), "too_large"],
  ["images that a provider has none of", "POST", "/system/prune", {}, "unsupported"],
  ["a call without a replica", "GET", "/function/f", undefined, "no_replica_ready"],
])("%s has a code", async (_cause, method, path, body, code) => {
  await expectCode(await provider.call(method, path, body), code);
});

test("a body that is no JSON, and a page of another site, have codes", async () => {
  const headers = { "content-type": "text/plain" };
  await expectCode(await provider.call("POST", "/system/functions", "{}", headers), "unsupported_media_type");
  const foreign = { "sec-fetch-site": "cross-site" };
  await expectCode(await provider.call("GET", "/system/functions", undefined, foreign), "forbidden");
});

const errno = (code: string) => Object.assign(new Error(code), { code });

test.each<[cause: string, failure: Error, code: ErrorCode]>([
  ["something that nobody foresaw", new Error("secret"), "internal_error"],
  ["no descriptor left", errno("EMFILE"), "out_of_resources"],
  ["no room on the disk", errno("ENOSPC"), "disk_full"],
  ["a cluster that is away", new FaasError("unavailable", "the Kubernetes API cannot be reached"), "unavailable"],
])("%s has a code", async (_cause, failure, code) => {
  backend.failure = failure;
  await expectCode(await provider.call("GET", "/system/functions"), code);
});

test("no login has a code", async () => {
  const locked = await serveProvider({ backend, credentials: { user: "admin", password: "secret" } });
  try {
    await expectCode(await locked.call("GET", "/system/functions"), "unauthorized");
  } finally {
    await locked.close();
  }
});

test("announcements that come too fast have a code", async () => {
  const announcing = await listenForAnnouncements(
    { announce: () => true, log: createLogger("silent") },
    { port: 0, host: "127.0.0.1" },
  );
  try {
    const announce = () => fetch(`${announcing.url}/announce`, { method: "POST" });
    await eventually(
      "one is too many",
      async () => {
        const answer = await announce();
        if (answer.status === 401) return false;
        await expectCode(answer, "overloaded");
        return true;
      },
      20_000,
      0,
    );
  } finally {
    await announcing.drain(0);
  }
});

test("every code is expected by a test", () => {
  const text = ["gateway", "provider", "events", "hostile", "e2e"]
    .flatMap((folder) =>
      readdirSync(join(ROOT, "test", folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
    )
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => readFileSync(join(ROOT, "test", name), "utf8"))
    .filter((source) => /\bERROR_HEADER\b|x-faaslane-error|\bcode\b/i.test(source))
    .join("");
  expect(Object.keys(ERROR_CODES).filter((code) => !new RegExp(`\\b${code}\\b`).test(text))).toEqual([]);
});
