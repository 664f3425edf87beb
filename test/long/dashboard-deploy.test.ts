import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, type WatchedPage } from "../support/browser.ts";
import { buildImage } from "../support/build-upload.ts";
import { missingBrowser } from "../support/missing-browser.ts";
import { describeNeeding } from "../support/needing.ts";
import { Platform, temporaryFolder } from "../support/platform.ts";
import { type ZipEntry, zipOf } from "../support/zip.ts";

const PATIENCE_MS = 60_000;
/** Answers as its path says. */
const HANDLER = `
  export default (req, res) => {
    if (req.url === "/binary") return res.end(Buffer.from([0xff, 0xfe, 0, 1]));
    if (req.url === "/large") return res.end("x".repeat(5_000_000));
    if (req.url === "/redirect") return res.writeHead(302, { location: req.headers["x-to"] }).end();
    if (req.url === "/endless") { res.write("begun"); return; }
    res.setHeader("content-type", "text/html");
    res.setHeader("x-odd", "<script>alert(1)</script>");
    res.end("<script>document.title = 'taken'</script>\\u202eexe.txt " + req.method);
  };`;

describeNeeding(missingBrowser())("deploying and calling by the dashboard, in more ways", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let platform: Platform;
  let readOnly: Platform;
  let browser: Browser;
  let opened: WatchedPage | undefined;
  const at = (name: string) => join(folder.path, name);

  beforeAll(async () => {
    folder = await temporaryFolder();
    const env = { sandbox: "off", ui_store: "own" };
    platform = await Platform.start({ dataDir: at("data"), cwd: folder.path, env });
    readOnly = await Platform.start({ dataDir: at("read"), cwd: folder.path, env: { ...env, ui_read_only: "true" } });
    browser = await openBrowser();
    for (const each of [platform, readOnly]) {
      await buildImage(each, "odd:1", {
        "faaslane.json": JSON.stringify({ env: { mode: "inproc", inproc_handler: "./index.mjs" } }),
        "index.mjs": HANDLER,
      });
      await deploy(each, { service: "odd", image: "odd:1" }, "POST");
    }
  }, 120_000);

  afterEach(async () => {
    await opened?.close();
    opened = undefined;
  });

  afterAll(async () => {
    await browser?.close();
    await platform?.stop();
    await readOnly?.stop();
    await folder?.remove();
  }, 60_000);

  async function deploy(to: Platform, definition: object, method: string): Promise<void> {
    const answer = await to.control("/system/functions", { method, body: JSON.stringify(definition) });
    expect(answer.status).toBe(202);
  }

  async function open(path: string, on = platform): Promise<Page> {
    const password = await readFile(
      at(on === platform ? "data/basic-auth-password" : "read/basic-auth-password"),
      "utf8",
    );
    opened = await openPage(browser, on.url);
    const { page } = opened;
    page.setDefaultTimeout(PATIENCE_MS);
    await page.goto(on.url + path);
    await page.getByLabel("Password").fill(password.trim());
    await page.keyboard.press("Enter");
    await page.getByRole("navigation", { name: "Places" }).waitFor();
    return page;
  }

  /** What is refused is an answer that the console tells of. */
  const faults = () => opened?.faults.filter((fault) => !/status of (400|409)/.test(fault));

  async function choose(page: Page, entries: readonly ZipEntry[], name = "packed.zip"): Promise<void> {
    const buffer = Buffer.from(await zipOf(entries).arrayBuffer());
    await page.getByLabel("Or a zip").setInputFiles({ name, mimeType: "application/zip", buffer });
  }

  test("a zip of a Python function is built; what a zip may not have is told", async () => {
    const page = await open("/ui/deploy/upload");
    await choose(page, [{ name: "a/../../evil.py", content: "x" }]);
    await page.getByRole("alert").getByText('"a/../../evil.py" leads out of the folder').waitFor();
    await choose(page, [
      {
        name: "greeter/handler.py",
        content: 'def handle(event, context):\n    return {"body": "hi"}\n',
        descriptor: true,
      },
      { name: "greeter/requirements.txt", content: "" },
    ]);
    await page.getByText("packed.zip: 2 files").waitFor();
    await page.locator("option:checked", { hasText: /^python3-http$/ }).waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Build and deploy" }).click();
    await page.getByText("replicas can be called").waitFor();
    expect(await (await fetch(`${platform.url}/function/packed`)).text()).toBe("hi");
    // Once more: it is there, so what is built is offered to the one that is there.
    await choose(page, [{ name: "handler.py", content: 'def handle(event, context):\n    return {"body": "ho"}\n' }]);
    await page.getByText("packed.zip: 1 files").waitFor();
    await page.getByRole("button", { name: "Build and deploy" }).click();
    await page.getByRole("link", { name: "Change the settings of packed" }).click();
    await page.getByRole("button", { name: "Deploy it again" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Deploy again" }).click();
    await page.getByText("packed is deployed").waitFor();
    await expect(textOf("/function/packed", "ho")).resolves.toBe("ho");
    expect(faults()).toEqual([]);
  }, 180_000);

  async function textOf(path: string, wanted: string): Promise<string> {
    let text = "";
    for (const deadline = Date.now() + PATIENCE_MS; text !== wanted && Date.now() < deadline; ) {
      text = await (await fetch(platform.url + path)).text();
    }
    return text;
  }

  test("a build that fails says why, and deploys nothing", async () => {
    const page = await open("/ui/deploy/upload");
    await choose(page, [{ name: "Dockerfile", content: "FROM nowhere.invalid/image:1\nRUN reboot\n" }], "broken.zip");
    await page.locator("option:checked", { hasText: /^dockerfile$/ }).waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Build and deploy" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByRole("region", { name: "Build log" }).getByText("1 files by the template dockerfile").waitFor();
    expect((await platform.control("/system/function/broken")).status).toBe(404);
    expect(faults()).toEqual([]);
  }, 120_000);

  test("answers are text or a download, and never more", async () => {
    const page = await open("/ui/functions/openfaas-fn/odd/invoke");
    const answer = page.getByRole("region", { name: "Answer" });
    const call = async (path: string) => {
      await page.getByLabel("Path", { exact: true }).fill(path);
      await page.getByRole("button", { name: "Call", exact: true }).click();
    };
    const download = async () => {
      const [given] = await Promise.all([
        page.waitForEvent("download"),
        answer.getByRole("link", { name: "Download the body" }).click(),
      ]);
      return { name: given.suggestedFilename(), bytes: await readFile((await given.path()) as string) };
    };
    await call("/");
    await answer.getByText("<script>document.title = 'taken'</script>�exe.txt POST").waitFor();
    await answer.getByText("<script>alert(1)</script>").waitFor();
    expect(await page.title()).toBe("odd: invoke – faaslane");
    await call("/binary");
    await answer.getByText("It is no text.").waitFor();
    expect(await download()).toEqual({ name: "odd-answer.bin", bytes: Buffer.from([0xff, 0xfe, 0, 1]) });
    await call("/large");
    await answer.getByText("it is cut at 1 MiB").waitFor();
    expect((await download()).bytes.length).toBe(1024 ** 2);
    let followed = 0;
    const elsewhere = createServer((_req, res) => {
      followed += 1;
      res.end();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
    const to = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
    await page.getByRole("button", { name: "Add to Headers" }).click();
    await page.getByLabel("Headers: name 1").fill("x-to");
    await page.getByLabel("Headers: value 1").fill(to);
    await call("/redirect");
    await answer.getByText("it answers with a redirect, which is not followed here").waitFor();
    elsewhere.close();
    expect(followed).toBe(0);
    await call("/endless");
    await page.getByRole("button", { name: "Stop waiting" }).click();
    await answer.getByText("nobody waits for the answer any more").waitFor();
    await page.getByLabel("Path", { exact: true }).fill("/../../system/info");
    await page.getByText("must not lead elsewhere with . or ..").waitFor();
    expect(await page.getByRole("button", { name: "Call", exact: true }).isDisabled()).toBe(true);
    // What was called is there again after a reload, and fills in the form.
    await page.reload();
    await page.getByRole("button", { name: "POST /large" }).click();
    expect(await page.getByLabel("Path", { exact: true }).inputValue()).toBe("/large");
    // The browser announces what it would ask for.
    expect(faults()?.filter((fault) => fault !== `request: ${to}`)).toEqual([]);
  }, 180_000);

  test("a call that waits in the queue is cancelled", async () => {
    const page = await open("/ui/functions/openfaas-fn/odd/invoke");
    await page.getByLabel("Asynchronously").check();
    await page.getByLabel("Not before").fill("1h");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    const answer = page.getByRole("region", { name: "Answer" });
    await answer.getByText("… waiting").waitFor();
    await answer.getByRole("button", { name: "Cancel the call" }).click();
    await answer.getByText("○ cancelled").waitFor();
    await answer.getByText("No result is kept of it.").waitFor();
    expect(opened?.faults.filter((fault) => !fault.includes("status of 404"))).toEqual([]);
  }, 120_000);

  test("what somebody else has changed meanwhile is not overwritten", async () => {
    const page = await open("/ui/functions/openfaas-fn/odd/settings");
    await page.getByLabel("Most replicas").fill("3");
    await deploy(platform, { service: "odd", image: "odd:1", envVars: { LEVEL: "debug" } }, "PUT");
    await page.getByRole("button", { name: "Review the changes" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Change", exact: true }).click();
    await dialog.getByText("changed by somebody else meanwhile (envVars.LEVEL)").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Read it again" }).click();
    await page.getByLabel("Environment: name 1").waitFor();
    const { labels } = (await (await platform.control("/system/function/odd")).json()) as { labels: object };
    expect(labels).not.toHaveProperty(["com.openfaas.scale.max"]);
    expect(faults()).toEqual([]);
  }, 120_000);

  test("a secret of several lines is put into another namespace, and chosen for a function there", async () => {
    const staging = JSON.stringify({ name: "staging" });
    expect((await platform.control("/system/namespace/", { method: "POST", body: staging })).status).toBe(201);
    const page = await open("/ui/deploy");
    await page.getByLabel("Namespace").selectOption("staging");
    await page.getByRole("link", { name: "Create one" }).click();
    await page.getByRole("button", { name: "Create a secret" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("key");
    await dialog.getByLabel("It has several lines").check();
    await dialog.getByLabel("Value", { exact: true }).fill("first\nsecond");
    // How to do the same says nothing of the value.
    await dialog.getByText("As a command").click();
    expect(await dialog.locator("pre").allTextContents()).not.toContainEqual(expect.stringContaining("first"));
    await dialog.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByRole("cell", { name: "key" }).waitFor();
    await page.getByRole("link", { name: "Deploy" }).click();
    await page.getByLabel("Namespace").selectOption("staging");
    await page.getByLabel("key", { exact: true }).check();
    await page.getByLabel("Name", { exact: true }).fill("keeper");
    await page.getByLabel("Image", { exact: true }).fill("odd:1");
    await page.getByRole("button", { name: "Deploy", exact: true }).click();
    await page.getByText("replicas can be called").waitFor();
    const answer = await platform.control("/system/function/keeper?namespace=staging");
    expect(await answer.json()).toMatchObject({ namespace: "staging", secrets: ["key"] });
    expect(faults()).toEqual([]);
  }, 120_000);

  test.each([
    ["/deploy", "Deploy"],
    ["/deploy/store?function=hello", "Build and deploy"],
    ["/deploy/upload", "Build and deploy"],
    ["/functions/openfaas-fn/odd/settings", "Deploy it again"],
    ["/functions/openfaas-fn/odd/settings", "Remove"],
    ["/functions/openfaas-fn/odd/settings", "Scale by hand"],
    ["/namespaces/openfaas-fn", "Create a namespace"],
    ["/namespaces/openfaas-fn", "Change"],
  ])("a page that changes nothing has at %s no use for %s, and says why", async (path, name) => {
    const page = await open(`/ui${path}`, readOnly);
    const button = page.getByRole("button", { name, exact: true });
    await button.waitFor();
    expect(await button.isDisabled()).toBe(true);
    expect(await page.getByText("This page changes nothing (ui_read_only)").count()).toBeGreaterThan(0);
    expect(faults()).toEqual([]);
  });
});
