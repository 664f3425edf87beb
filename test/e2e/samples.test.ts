import { createHmac } from "node:crypto";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { Producer } from "@platformatic/kafka";
import type { EventSummary } from "../../contract/events/event-report.ts";
import type { RunReport } from "../../contract/events/flow-run.ts";
import { type Outcome, runChild } from "../cli/support/run-cli.ts";
import { eventually } from "../support/eventually.ts";
import { Platform, ROOT, temporaryFolder } from "../support/platform.ts";
import { describeWithKafka, KafkaServer } from "../support/servers/kafka.ts";

/** A sample as its README has it: a copy of its folder, with the platform started there. */
interface Sample extends AsyncDisposable {
  readonly platform: Platform;
  /** The command line, in its folder. */
  faaslane(...args: readonly string[]): Promise<Outcome>;
  /** What a function has written. */
  logOf(name: string): Promise<string>;
}

async function open(name: string, env: Readonly<Record<string, string>> = {}): Promise<Sample> {
  const folder = await temporaryFolder();
  const cwd = join(folder.path, name);
  await cp(join(ROOT, "samples", name), cwd, { recursive: true });
  const platform = await Platform.start({ dataDir: join(cwd, ".faaslane"), cwd, stackFile: "stack.yml", env });
  expect(platform.stdout).not.toMatch(/not (built|deployed|declared)/);
  const faaslane = (...args: readonly string[]) => runChild(args, { cwd, env: { OPENFAAS_URL: platform.url } });
  return {
    platform,
    faaslane,
    logOf: async (fn) => (await faaslane("logs", fn, "--tail=false")).stdout,
    async [Symbol.asyncDispose]() {
      await platform.stop();
      await folder.remove();
    },
  };
}

async function eventsOf({ platform }: Sample, query = ""): Promise<EventSummary[]> {
  const answer = await platform.control(`/system/events?limit=1000${query}`);
  return ((await answer.json()) as { items: EventSummary[] }).items;
}

describe("the sample", () => {
  test("order-events: triggers choose by type and source, and a reply goes back to the broker", async () => {
    await using sample = await open("order-events");
    const send = ["events", "send", "--broker", "orders"];
    const sent = await sample.faaslane(
      ...send,
      "order.created",
      "--source",
      "/shop",
      "--subject",
      "7",
      "--data",
      '{"items":2}',
    );
    expect(sent).toMatchObject({ code: 0, stderr: "" });
    await sample.faaslane(...send, "order.cancelled", "--source", "/desk", "--subject", "8", "--data", '{"total":5}');
    await sample.faaslane(...send, "order.created", "--source", "/elsewhere", "--id", "42");
    const events = await eventually(
      "all are delivered",
      async () => {
        const all = await eventsOf(sample);
        return all.length === 4 && all.every(({ state }) => state === "delivered") && all;
      },
      20_000,
    );
    expect(events.map(({ type, source }) => `${type} ${source}`).sort()).toEqual([
      "order.cancelled /desk",
      "order.created /elsewhere",
      "order.created /shop",
      "order.shipped /warehouse",
    ]);
    expect((await sample.faaslane("events", "why", "42")).stdout).toContain(
      'trigger/openfaas-fn/ship: filtered: filters[0].exact: source is "/elsewhere", not exact "/shop".\n',
    );
    await eventually("the functions have written", async () =>
      (await sample.logOf("audit")).includes("audit order.shipped 7 from /warehouse"),
    );
    expect(await sample.logOf("refund")).toContain("refund 8: 5");
  }, 60_000);

  test("order-sequence: three steps, and one that is refused", async () => {
    await using sample = await open("order-sequence");
    const run = async (data: string) => {
      const { stdout } = await sample.faaslane(
        "flows",
        "run",
        "order",
        "--subject",
        "1",
        "--data",
        data,
        "--wait",
        "--json",
      );
      return JSON.parse(stdout) as RunReport;
    };
    const good = await run('{"item":"apple","count":2}');
    expect(good.state).toBe("succeeded");
    expect(JSON.parse(good.result?.text ?? "")).toEqual({ item: "apple", count: 2, total: 6 });
    const refused = await run('{"item":"pear","count":2}');
    expect(refused.steps.map(({ name, state }) => [name, state])).toEqual(
      expect.arrayContaining([["check", "failed"]]),
    );
    await sample.faaslane("events", "send", "order.placed", "--subject", "2", "--data", '{"item":"apple","count":3}');
    await eventually(
      "an event starts one",
      async () => (await sample.logOf("confirm")).includes("confirmed 2: 9"),
      20_000,
    );
  }, 60_000);

  test("nightly-backup: the clock calls the function, with its body and zone", async () => {
    await using sample = await open("nightly-backup", { BACKUP_AT: "* * * * * *" });
    await eventually(
      "a backup was made",
      async () => (await sample.logOf("backup")).includes("backup of shop, planned for"),
      20_000,
    );
    const [event] = await eventsOf(sample, "&source=/cron/openfaas-fn/backup");
    expect(event?.type).toBe("com.faaslane.cron.tick");
    const { annotations } = (await (await sample.platform.control("/system/function/backup")).json()) as {
      annotations: Record<string, string>;
    };
    expect(annotations).toMatchObject({ timezone: "Europe/Berlin", topic: "cron-function" });
  }, 60_000);

  test("github-push: signed pushes reach the function, others do not", async () => {
    await using sample = await open("github-push");
    await sample.faaslane("secret", "create", "github", "--from-literal", "hunter2");
    const body = JSON.stringify({
      ref: "refs/heads/main",
      after: "0123456789abcdef0123456789abcdef01234567",
      repository: { full_name: "me/shop", url: "https://github.com/me/shop" },
    });
    const push = async (key: string, id: string) => {
      const signature = `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;
      const headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": id,
        "x-hub-signature-256": signature,
      };
      return (await fetch(`${sample.platform.url}/webhook/openfaas-fn/github`, { method: "POST", body, headers }))
        .status;
    };
    // The source looks for a secret that was not there every few seconds.
    await eventually("the secret is known", async () => (await push("wrong", "0")) === 401, 20_000, 200);
    expect(await push("hunter2", "1")).toBe(202);
    expect(await push("hunter2", "1")).toBe(409);
    await eventually(
      "it is deployed",
      async () => (await sample.logOf("deploy")).includes("deploy me/shop at 0123456"),
      20_000,
    );
    expect(await eventsOf(sample, "&type=com.github.push")).toHaveLength(1);
  }, 60_000);
});

describeWithKafka("the sample", () => {
  test("kafka-orders: an old function gets orders, a trigger payments by their keys", async () => {
    const kafka = await KafkaServer.start();
    const producer = new Producer({ clientId: "samples", bootstrapBrokers: [kafka.address] });
    try {
      await using sample = await open("kafka-orders", { KAFKA: kafka.address });
      await producer.send({
        messages: [
          { topic: "orders", key: Buffer.from("k1"), value: Buffer.from("hello") },
          { topic: "payments", key: Buffer.from("k7"), value: Buffer.from('{"total":12}') },
        ],
      });
      await eventually(
        "both have come",
        async () => {
          const events = await eventsOf(sample, "&source=&state=delivered");
          return events.length >= 2;
        },
        30_000,
      );
      await eventually(
        "the functions have written",
        async () => (await sample.logOf("orders")).includes("orders: hello"),
        20_000,
      );
      expect(await sample.logOf("payments")).toMatch(/payments: \S+/);
    } finally {
      await producer.close(true);
      await kafka.stop();
    }
  }, 90_000);
});
