import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { type TestCertificate, writeCertificate } from "../certificates.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free-port.ts";
import { describeNeeding, unlessRequired } from "../needing.ts";
import { PROGRAM_PATH } from "./programs.ts";

const run = promisify(execFile);

/** A cluster of PostgreSQL of its own, with a log to replicate from. What it holds survives {@link restart}. */
export class PostgresServer {
  readonly password = "p0stgres-passw0rd";
  readonly port: number;
  readonly #folder: string;
  #settings: readonly string[] = [];
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  /** @param certificate with which it takes connections over TLS as well */
  static async start(certificate?: TestCertificate): Promise<PostgresServer> {
    const folder = await mkdtemp(join(tmpdir(), "faaslane-postgres-"));
    const server = new PostgresServer(folder, await freePort());
    await writeFile(join(folder, "password"), server.password);
    const owner = ownerOf();
    if (owner) for (const path of [folder, join(folder, "password")]) await chown(path, owner.uid, owner.gid);
    const login = ["-U", "postgres", "-A", "scram-sha-256", `--pwfile=${join(folder, "password")}`];
    await run(program("initdb"), ["-D", join(folder, "data"), ...login, "-E", "UTF8", "--locale=C", "--no-sync"], {
      env: { PATH: PROGRAM_PATH },
      cwd: folder,
      ...owner,
    });
    if (certificate) {
      const { certFile, keyFile } = await writeCertificate(folder, "server", certificate);
      if (owner) for (const path of [certFile, keyFile]) await chown(path, owner.uid, owner.gid);
      server.#settings = ["-c", "ssl=on", "-c", `ssl_cert_file=${certFile}`, "-c", `ssl_key_file=${keyFile}`];
    }
    await server.restart();
    return server;
  }

  client(): pg.Client {
    const { port, password } = this;
    const client = new pg.Client({ host: "127.0.0.1", port, password, user: "postgres", database: "postgres" });
    client.on("error", () => {}); // who waits for an answer is told
    return client;
  }

  async restart(): Promise<void> {
    await this.end();
    const args = ["-D", join(this.#folder, "data"), "-p", String(this.port), "-h", "127.0.0.1", "-k", this.#folder];
    const child = spawn(
      program("postgres"),
      [...args, "-c", "wal_level=logical", "-c", "fsync=off", ...this.#settings],
      {
        env: { PATH: PROGRAM_PATH },
        cwd: this.#folder,
        stdio: ["ignore", "ignore", "pipe"],
        ...ownerOf(),
      },
    );
    this.#process = child;
    let log = "";
    child.stderr.on("data", (data) => {
      log = (log + data).slice(-10_000);
    });
    await eventually(
      "PostgreSQL answers",
      async () => {
        if (child.exitCode !== null) throw new Error(`postgres ended: ${log}`);
        const client = this.client();
        try {
          await client.connect();
          return true;
        } finally {
          await client.end().catch(() => {}); // it was not let in yet
        }
      },
      30_000,
      50,
    );
  }

  /** Ends it at once, as a crash does, for {@link restart}. */
  async end(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGQUIT");
    await once(child, "exit");
  }

  async stop(): Promise<void> {
    await this.end();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The server does not run as root. */
function ownerOf(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" })));
  return { uid: uid as number, gid: gid as number };
}

function program(name: string): string {
  const found = [...globSync(`/usr/lib/postgresql/*/bin/${name}`).sort().reverse(), `/usr/local/bin/${name}`];
  return found.find((path) => existsSync(path)) ?? name;
}

/** Tests that need PostgreSQL. Where there is none, they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithPostgres(name: string, tests: () => void): void {
  const missing = existsSync(program("initdb")) ? undefined : "postgresql is not installed";
  describeNeeding(unlessRequired(missing))(name, tests);
}
