import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile as write } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { rawRequest } from "../support/raw-http.ts";
import { FIXTURES, startWatchdog, type TestWatchdog } from "./support/start-watchdog.ts";

const post = (watchdog: TestWatchdog, body: string, headers: Record<string, string> = {}) =>
  fetch(watchdog.url, { method: "POST", body, headers });

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Without a PATH there is no `env` for the self-test of the shells, so processes are forked directly. */
const DIRECT = { PATH: FIXTURES };

describe.each([
  ["through shells", {}],
  ["directly", DIRECT],
])("forked %s", (_way, env) => {
  test.each(["classic", "serializing", "streaming"])("%s passes a body of any size and bytes", async (mode) => {
    await using watchdog = await startWatchdog({ ...env, mode, fprocess: "/bin/cat" });
    for (const size of [0, 1, 70_000, 3_000_000]) {
      const body = Buffer.alloc(
        size,
        Uint8Array.from({ length: 251 }, (_, i) => i),
      );
      const response = await fetch(watchdog.url, { method: "POST", body });
      expect(response.status).toBe(200);
      expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
    }
  });

  test("many calls at once do not mix", async () => {
    await using watchdog = await startWatchdog({ ...env, mode: "classic", fprocess: "/bin/cat" });
    const bodies = Array.from({ length: 40 }, (_, i) => `${i};`.repeat(1000));
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(bodies.map(async (body) => (await post(watchdog, body)).text()));
      expect(answers).toEqual(bodies);
    }
  });

  test("a process that does not read its input is fine", async () => {
    await using watchdog = await startWatchdog({ ...env, mode: "classic", fprocess: "/bin/echo ignored" });
    const response = await post(watchdog, "x".repeat(1_000_000));
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("ignored\n");
    expect(await (await post(watchdog, "y")).text()).toBe("ignored\n");
  });

  test("a program that a signal has ended has printed what it has, and not what shells say of that", async () => {
    // A script's own child is spoken of by the script's shell, which is the program's own output.
    const script =
      'read -r how; printf part; case $how in own) /bin/sh -c "kill -9 \\$\\$"; exit 3 ;; esac; kill -s "$how" $$';
    const file = join(await mkdtemp(join(tmpdir(), "faaslane-signal-")), "run");
    await write(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    await using watchdog = await startWatchdog({ ...env, mode: "classic", fprocess: file });
    for (const [how, why] of [
      ["KILL", "signal: killed"],
      ["SEGV", "signal: segmentation fault"],
      ["TERM", "signal: terminated"],
      ["ABRT", "signal: aborted"],
      ["HUP", "signal: hangup"],
    ]) {
      const response = await post(watchdog, `${how}\n`);
      expect([response.status, await response.text()]).toEqual([500, `${why}\npart`]);
    }
    expect(await (await post(watchdog, "own\n")).text()).toMatch(/^exit status 3\npart(.*Killed.*\n)?$/);
    await rm(dirname(file), { recursive: true });
  });

  test("a time-out kills the process and what it has started", async () => {
    const PATH = "PATH" in env ? `${FIXTURES}:/usr/bin:/bin` : undefined;
    const way = PATH === undefined ? {} : { PATH, "not-a-shell-name": "1" };
    await using watchdog = await startWatchdog({
      ...way,
      mode: "classic",
      fprocess: "leaves-child",
      exec_timeout: "200ms",
    });
    const response = await post(watchdog, "");
    expect(response.status).toBe(408);
    expect(await response.text()).toBe("Killed process.\n");
    const pid = Number(readFileSync(join(watchdog.tmp, "left-behind"), "utf8"));
    expect(pid).toBeGreaterThan(1);
    await eventually("it is gone", () => !isRunning(pid));
    expect(await (await post(watchdog, "")).text()).toBe("Killed process.\n");
  });

  test("hostile header values stay values", async () => {
    const PATH = "PATH" in env ? `${FIXTURES}:/usr/bin` : undefined;
    const way = PATH === undefined ? {} : { PATH, "not-a-shell-name": "1" };
    await using watchdog = await startWatchdog({ ...way, mode: "classic", fprocess: "env" });
    const values = {
      "x-a": `'; touch ${watchdog.tmp}/owned; '`,
      "x-b": `$(touch ${watchdog.tmp}/owned) \`x\` "\\`,
      "x-c": "E",
    };
    const printed = await (await post(watchdog, "", values)).text();
    expect(printed).toContain(`Http_X_A=${values["x-a"]}\n`);
    expect(printed).toContain(`Http_X_B=${values["x-b"]}\n`);
    expect(printed).toContain("Http_X_C=E\n");
    expect(existsSync(join(watchdog.tmp, "owned"))).toBe(false);
  });
});

test("programs may open their streams by name", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "dev-files" });
  expect(await (await post(watchdog, "hello")).text()).toBe("read hello\nto stdout\nto stderr\n");
  expect(await (await post(watchdog, "again")).text()).toBe("read again\nto stdout\nto stderr\n");
});

test("calls that come one after the other are forked by one shell", async () => {
  await using watchdog = await startWatchdog({
    mode: "classic",
    PARENT: "echo $PPID",
    fprocess: 'sh -c eval\t"$PARENT"',
  });
  const parents: string[] = [];
  for (let i = 0; i < 30; i++) parents.push(await (await post(watchdog, "")).text());
  expect(parents.every((parent) => /^\d+\n$/.test(parent))).toBe(true);
  expect(new Set(parents).size).toBe(1);
});

test.each(["true", "false"])("a program gets no descriptor of its shell, combine_output=%s", async (combine_output) => {
  const LIST = "for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; true";
  await using watchdog = await startWatchdog({
    mode: "classic",
    combine_output,
    LIST,
    fprocess: 'sh -c eval\t"$LIST"',
  });
  // The pipes of calls take turns.
  for (let i = 0; i < 4; i++) expect(await (await post(watchdog, "")).text()).toBe("0\n1\n2\n");
});

test("what a program leaves unread or prints too late is not the next one's", async () => {
  const RUN = 'read -r line; echo "$line"; (sleep 0.3; echo late >&2) >/dev/null &';
  await using watchdog = await startWatchdog({
    mode: "classic",
    combine_output: "false",
    RUN,
    fprocess: 'sh -c eval\t"$RUN"',
  });
  for (const word of ["one", "two", "three", "four"]) {
    const answer = await post(watchdog, `${word}\n${"rest\n".repeat(1000)}`);
    expect(await answer.text()).toBe(`${word}\n`);
  }
});

test("a header no shell can hold still reaches the program", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "env" });
  const printed = await (await post(watchdog, "", { "x.dotted!": "1" })).text();
  expect(printed).toContain("Http_X.dotted!=1\n");
  expect(printed).toContain("Http_Path=/\n");
});

test("headers above the system's limits for one variable are the caller's fault, not a crash", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "cat" });
  const request = `POST / HTTP/1.1\r\nHost: h\r\nX-Big: ${"b".repeat(200_000)}\r\nContent-Length: 0\r\n\r\n`;
  expect((await rawRequest(watchdog.port, request))?.status).toBe(431);
  expect(await (await post(watchdog, "fine")).text()).toBe("fine");
});

test("streaming passes each part on as it comes", async () => {
  await using watchdog = await startWatchdog({ mode: "streaming", fprocess: "cat" });
  const input = new TransformStream<Uint8Array, Uint8Array>();
  const writer = input.writable.getWriter();
  const encoder = new TextEncoder();
  const first = writer.write(encoder.encode("one"));
  const response = await fetch(watchdog.url, { method: "POST", body: input.readable, duplex: "half" } as RequestInit);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await first;
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("one");
  await writer.write(encoder.encode("two"));
  expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("two");
  await writer.close();
  expect((await reader.read()).done).toBe(true);
});

test("a streaming caller that leaves ends the process", async () => {
  await using watchdog = await startWatchdog({ mode: "streaming", fprocess: "yes" });
  const response = await fetch(watchdog.url);
  await response.body?.getReader().cancel();
  await eventually("no call is under way", async () => /^http_requests_in_flight 0$/m.test(await watchdog.metrics()));
});

test("a streaming time-out cuts an answer that has begun, and is a 504 before", async () => {
  await using begun = await startWatchdog({ mode: "streaming", fprocess: "yes", exec_timeout: "100ms" });
  await expect(fetch(begun.url).then((response) => response.text())).rejects.toThrow();
  await using silent = await startWatchdog({ mode: "streaming", fprocess: "sleep 30", exec_timeout: "100ms" });
  const response = await fetch(silent.url);
  expect(response.status).toBe(504);
  expect(response.headers.get("x-openfaas-internal")).toBe("of-watchdog");
});

test("a classic process runs on when its caller leaves, and counts until it ends", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "ends-late", max_inflight: "1" });
  const caller = new AbortController();
  const call = fetch(watchdog.url, { signal: caller.signal });
  await eventually("it is under way", async () => /^http_requests_in_flight 1$/m.test(await watchdog.metrics()));
  caller.abort();
  await expect(call).rejects.toThrow();
  expect((await fetch(watchdog.url)).status).toBe(429);
  writeFileSync(join(watchdog.tmp, "may-end"), "");
  await eventually("it finishes", () => existsSync(join(watchdog.tmp, "finished")));
  await eventually("it counts no more", async () => /^http_requests_in_flight 0$/m.test(await watchdog.metrics()));
});

test("without exec_timeout the caller gets 504 at write_timeout and the process goes on", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "ends-late", write_timeout: "100ms" });
  const response = await fetch(watchdog.url);
  expect(response.status).toBe(504);
  writeFileSync(join(watchdog.tmp, "may-end"), "");
  await eventually("it finishes", () => existsSync(join(watchdog.tmp, "finished")));
});

test.each(["classic", "serializing"])("%s refuses a body above max_body_bytes", async (mode) => {
  await using watchdog = await startWatchdog({ mode, fprocess: "cat", max_body_bytes: "1000" });
  expect((await post(watchdog, "x".repeat(1000))).status).toBe(200);
  expect((await post(watchdog, "x".repeat(1001))).status).toBe(413);
  const chunked = new Blob(["x".repeat(5000)]).stream();
  const response = await fetch(watchdog.url, { method: "POST", body: chunked, duplex: "half" } as RequestInit);
  expect(response.status).toBe(413);
  expect(await response.text()).toContain("max_body_bytes");
});

test.each(["classic", "serializing"])("%s kills a process that prints without end", async (mode) => {
  await using watchdog = await startWatchdog({ mode, fprocess: "yes", max_body_bytes: "100000" });
  const response = await post(watchdog, "");
  expect(response.status).toBe(500);
  expect(response.headers.get("x-openfaas-internal")).toBe("of-watchdog");
  expect(await response.text()).toContain("max_body_bytes");
});

test("classic logs each call as OpenFaaS's watchdog does, with its output on demand", async () => {
  await using usual = await startWatchdog({ mode: "classic", fprocess: "cat" });
  await post(usual, "hello");
  await usual.logged(/Forking fprocess\.\n\S+ \S+ Wrote 5 Bytes - Duration: \d+\.\d{6}s\n/);
  await using debugging = await startWatchdog({ mode: "classic", fprocess: "both-exit-1", write_debug: "true" });
  await (await fetch(`${debugging.url}/a?b=c`)).text();
  await debugging.logged(/Forking fprocess\.\n\S+ \S+ Query {2}b=c\n\S+ \S+ Path {2}\/a\n/);
  await debugging.logged("Success=false, Error=exit status 1");
  await debugging.logged("out\nerr\n");
});

test("headers in the debug log leave secrets out", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "cat", debug_headers: "true" });
  await post(watchdog, "", { authorization: "Bearer hidden", "x-plain": "shown" });
  await watchdog.logged("in header x-plain: shown");
  await watchdog.logged("[redacted]");
  expect(watchdog.log).not.toContain("hidden");
});

test("a file in PATH that cannot be run is no program, as in Go", async () => {
  await using watchdog = await startWatchdog({ mode: "classic", fprocess: "handler.mjs" });
  const answer = await fetch(watchdog.url, { method: "POST", body: "x" });
  expect([answer.status, await answer.text()]).toEqual([
    500,
    'exec: "handler.mjs": executable file not found in $PATH\n',
  ]);
});
