import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect } from "@jest/globals";
import { createClient } from "@redis/client";
import { connectAsync } from "mqtt";
import { makeCertificate, writeCertificate } from "../support/certificates.ts";
import { RunningSource } from "../support/events/declared-source.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { missingNats, NatsServer } from "../support/nats.ts";
import { testNeeding } from "../support/needing.ts";
import { KafkaServer } from "../support/servers/kafka.ts";
import { Mosquitto } from "../support/servers/mosquitto.ts";
import { describeWithPostgres, PostgresServer } from "../support/servers/postgres.ts";
import { missingProgram } from "../support/servers/programs.ts";
import { RabbitMq } from "../support/servers/rabbitmq.ts";
import { RedisServer } from "../support/servers/redis.ts";

/** The server's certificate has signed itself. */
const own = makeCertificate("localhost", ["localhost"]);
const PASSWORD = "s3cret-passw0rd";
const WRONG = "wr0ng-passw0rd";
const tls = { ca: { secret: "ca" }, serverName: "localhost" };
const secrets: Readonly<Record<string, string>> = {
  ca: own.cert,
  other: makeCertificate("localhost", ["localhost"]).cert,
  password: PASSWORD,
  wrong: WRONG,
};

let folder: string;
const opened: { close(): Promise<unknown> }[] = [];
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "faaslane-tls-"));
  await writeCertificate(folder, "server", own);
});
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

async function start(name: string, spec: object): Promise<RunningSource> {
  const running = await RunningSource.start(name, spec, secrets);
  opened.push(running);
  return running;
}

/** What keeps a source from its server is told, and no secret is in it. */
async function told(name: string, spec: object, why: RegExp): Promise<void> {
  const problem = await (await start(name, spec)).failing();
  expect(problem).toMatch(why);
  for (const secret of [PASSWORD, WRONG, "BEGIN CERTIFICATE", own.cert.slice(60, 100)]) {
    expect(problem).not.toContain(secret);
  }
}

/** Of all servers: who is not the one that was meant is told nothing, and says of whom it is not. */
async function trustsNobodyElse(spec: object, hasServerName = true): Promise<void> {
  const { serverName: _, ...bare } = tls;
  const other = { ca: { secret: "other" } };
  await told("authority", { ...spec, tls: hasServerName ? { ...tls, ...other } : other }, /certificate|self.signed/i);
  await told("usual", { ...spec, tls: hasServerName ? { serverName: "localhost" } : {} }, /certificate|self.signed/i);
  if (!hasServerName) return;
  await told("name", { ...spec, tls: { ...tls, serverName: "other.test" } }, /other\.test|altnames|hostname/i);
  // Its address is not what the certificate is for.
  await told("address", { ...spec, tls: bare }, /127\.0\.0\.1|altnames|IP/i);
}

describeWithPostgres("PostgreSQL", () => {
  testNeeding(undefined)(
    "over TLS, with a password",
    async () => {
      const server = await PostgresServer.start(own);
      opened.push({ close: () => server.stop() });
      const client = server.client();
      await client.connect();
      opened.push({ close: () => client.end().catch(() => {}) });
      await client.query(`CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t;
        CREATE ROLE reader LOGIN REPLICATION PASSWORD '${PASSWORD}'; GRANT SELECT ON t TO reader`);
      const spec = {
        type: "postgres",
        host: "127.0.0.1",
        port: server.port,
        database: "postgres",
        user: "reader",
        password: { secret: "password" },
        publication: "p",
        slot: "s",
        createSlot: true,
        tls,
      };
      const running = await start("right", spec);
      await running.connected();
      const { rows } = await client.query(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'reader'",
      );
      expect(rows).toEqual([{ ssl: true }]);
      await client.query("INSERT INTO t VALUES (1)");
      await running.events(1);
      await trustsNobodyElse({ ...spec, slot: "other" });
      await told(
        "password",
        { ...spec, slot: "other", password: { secret: "wrong" } },
        /password authentication failed/,
      );
    },
    120_000,
  );
});

testNeeding(missingProgram("redis-server"))(
  "Redis over TLS, with users and passwords",
  async () => {
    const server = await RedisServer.start(own);
    opened.push({ close: () => server.stop() });
    const client = createClient({
      url: server.url,
      password: server.password,
      socket: { tls: true, ca: own.cert, servername: "localhost", reconnectStrategy: false },
    });
    client.on("error", () => {}); // who waits for an answer is told
    await client.connect();
    opened.push({ close: async () => (client.isOpen ? client.destroy() : undefined) });
    await client.sendCommand(["ACL", "SETUSER", "reader", "on", `>${PASSWORD}`, "~*", "+@all"]);
    const spec = {
      type: "redis",
      url: server.url,
      user: "reader",
      password: { secret: "password" },
      streams: "s",
      tls,
    };
    const running = await start("right", spec);
    await running.connected();
    await client.xAdd("s", "*", { a: "1" });
    await running.events(1);
    await trustsNobodyElse(spec);
    await told("password", { ...spec, password: { secret: "wrong" } }, /WRONGPASS/);
    const { password: _, user: __, ...nobody } = spec;
    await told("nobody", nobody, /NOAUTH/);
    // A client that speaks no TLS gets no answer.
    const { tls: ___, ...plain } = spec;
    await told("plain", { ...plain, url: server.url.replace("rediss", "redis") }, /closed|reset|ended/i);
  },
  120_000,
);

testNeeding(missingProgram("mosquitto"))(
  "MQTT over TLS, with a password",
  async () => {
    await promisify(execFile)("mosquitto_passwd", ["-b", "-c", file("users"), "reader", PASSWORD]);
    const port = await freePort();
    const server = await Mosquitto.start([
      ...["allow_anonymous false", `password_file ${file("users")}`, `listener ${port} 127.0.0.1`],
      ...[`certfile ${file("server.crt")}`, `keyfile ${file("server.key")}`],
    ]);
    opened.push({ close: () => server.stop() });
    const login = { user: "reader", password: { secret: "password" } };
    const spec = { type: "mqtt", url: `mqtts://127.0.0.1:${port}`, topics: "t", clientId: "a", ...login, tls };
    const running = await start("right", spec);
    await running.connected();
    const client = await connectAsync(spec.url, {
      ca: own.cert,
      servername: "localhost",
      username: "reader",
      password: PASSWORD,
      reconnectPeriod: 0,
    });
    opened.push({ close: () => client.endAsync(true) });
    await client.publishAsync("t", "hello", { qos: 1 });
    await running.events(1);
    await trustsNobodyElse({ ...spec, clientId: "b" });
    for (const version of ["5", "3.1.1"]) {
      const wrong = { ...spec, version, clientId: "b", password: { secret: "wrong" } };
      await told(`password-${version}`, wrong, /not authori[sz]ed|bad user ?name or password/i);
    }
  },
  120_000,
);

testNeeding(missingNats())(
  "NATS over TLS, with a password and with a token",
  async () => {
    const files = `cert_file: "${file("server.crt")}", key_file: "${file("server.key")}"`;
    for (const [authorization, right, wrong] of [
      [
        `user: reader, password: "${PASSWORD}"`,
        { user: "reader", password: { secret: "password" } },
        { user: "reader", password: { secret: "wrong" } },
      ],
      [`token: "${PASSWORD}"`, { token: { secret: "password" } }, { token: { secret: "wrong" } }],
    ] as const) {
      const server = await NatsServer.start({ config: `tls { ${files} }\nauthorization { ${authorization} }` });
      opened.push({ close: () => server.kill() });
      const servers = `nats://${server.address.replace("127.0.0.1", "localhost")}`;
      const spec = { type: "nats", servers, subjects: "t", tls: { ca: { secret: "ca" } } };
      await (await start("right", { ...spec, ...right })).connected();
      await trustsNobodyElse({ ...spec, ...right }, false);
      await told("login", { ...spec, ...wrong }, /authorization violation|authentication/i);
      await told("nobody", spec, /authorization violation|authentication/i);
    }
  },
  120_000,
);

testNeeding(missingProgram("rabbitmq-server"))(
  "RabbitMQ over TLS, with a password",
  async () => {
    const port = await freePort();
    const server = await RabbitMq.start([
      ...[`listeners.ssl.default = 127.0.0.1:${port}`, "ssl_options.verify = verify_none"],
      ...[`ssl_options.certfile = ${file("server.crt")}`, `ssl_options.keyfile = ${file("server.key")}`],
      ...["default_user = reader", `default_pass = ${PASSWORD}`],
    ]);
    opened.push({ close: () => server.stop() });
    const login = { user: "reader", password: { secret: "password" } };
    const spec = { type: "rabbitmq", url: `amqps://127.0.0.1:${port}`, queues: "t", declare: {}, ...login, tls };
    await (await start("right", spec)).connected();
    await trustsNobodyElse(spec);
    await told("password", { ...spec, password: { secret: "wrong" } }, /ACCESS_REFUSED|refused/i);
  },
  200_000,
);

/** The mock knows no TLS, which a proxy before it speaks, and no SASL at all: there is no server to try that with. */
testNeeding(missingProgram("kcat"))(
  "Kafka over TLS",
  async () => {
    const server = await KafkaServer.start(own);
    opened.push({ close: () => server.stop() });
    const spec = { type: "kafka", brokers: server.address, topics: "t", sessionTimeoutMs: 6_000, tls };
    const running = await start("right", spec);
    await running.connected(60_000);
    await trustsNobodyElse(spec);
    const sasl = { mechanism: "SCRAM-SHA-256", user: "reader", password: { secret: "password" } };
    await told("login", { ...spec, sasl }, /SASL|authentica|unsupported|closed/i);
  },
  200_000,
);

testNeeding(missingProgram("redis-server"))(
  "a secret that is mended is read by the next try",
  async () => {
    const server = await RedisServer.start(own);
    opened.push({ close: () => server.stop() });
    const changing: Record<string, string> = { ca: own.cert, password: WRONG };
    const spec = { type: "redis", url: server.url, password: { secret: "password" }, streams: "s", tls };
    const running = await RunningSource.start("mended", spec, changing);
    opened.push(running);
    expect(await running.failing()).toContain("WRONGPASS");
    changing.password = server.password;
    await eventually("it is connected", () => running.status.state === "connected", 60_000);
  },
  120_000,
);
