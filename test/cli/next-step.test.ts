import { expect, test } from "@jest/globals";
import { accepted, openScene } from "./support/scene.ts";

test.each([
  ["deploy --filter second", "Error: second: Unexpected status: 403, message: Forbidden; `faaslane login`"],
  ["remove second", "Error: second: the gateway answered 403 Forbidden; `faaslane login`"],
  ["secret create s --from-literal a", "Error: the gateway answered 403 Forbidden; `faaslane login`"],
  ["namespace create n", "Error: namespace n: the gateway answered 403 Forbidden; `faaslane login`"],
  ["list", "Error: the gateway answered 403 Forbidden; `faaslane login`"],
])("%s says what to do where it is not allowed", async (command, message) => {
  await using scene = await openScene(() => ({ status: 403, body: "" }));
  const { code, stdout, stderr } = await scene.run(command);
  expect([code, stdout]).toEqual([1, expect.not.stringContaining("Error")]);
  expect(stderr).toContain(message);
});

test.each([
  ["unauthorized", 401, "; the function wants credentials: --auth --token TOKEN"],
  ["rate_limited", 429, "; try again in 7 s"],
])(
  "a call that the gateway refuses as %s says what to do, and one that the function does does not",
  async (code, status, next) => {
    await using scene = await openScene(({ path }) => ({
      status,
      body: "no",
      headers: { "Retry-After": "7", ...(path.includes("hello") && { "X-Faaslane-Error": code }) },
    }));
    const message = `Error: Server returned unexpected status code: ${status} - no`;
    expect((await scene.run("invoke hello")).stderr).toContain(`${message}${next}`);
    expect((await scene.run("invoke second")).stderr).toBe(`${message}\n`);
  },
);

test.each(["ftp://x", "http://127.0.0.1:99999", "https://x:y", "http://a b"])("%s is no gateway", async (url) => {
  await using scene = await openScene(accepted);
  const { code, stderr } = await scene.run(["list", "-g", url]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: the gateway must be a URL such as .*, not "/)]);
});
