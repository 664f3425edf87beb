import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { TestCertificate } from "../certificates.ts";
import { eventually } from "../eventually.ts";
import { describeNeeding } from "../needing.ts";
import { KafkaProxy } from "./kafka-proxy.ts";
import { missingProgram, PROGRAM_PATH } from "./programs.ts";

/**
 * The mock of Kafka that is in librdkafka, which kcat brings: topics come into being when they are asked for, with 4
 * partitions. What it holds is lost with it.
 */
export class KafkaServer {
  readonly #process: ChildProcess;
  readonly proxy: KafkaProxy;

  private constructor(process: ChildProcess, proxy: KafkaProxy) {
    this.#process = process;
    this.proxy = proxy;
  }

  /** @param certificate with which the way to it speaks TLS */
  static async start(certificate?: TestCertificate): Promise<KafkaServer> {
    const options = ["-b", "127.0.0.1:1", "-C", "-E", "-u", "-t", "keepalive", "-X", "test.mock.num.brokers=1"];
    const child = spawn("kcat", [...options, "-d", "mock"], {
      env: { PATH: PROGRAM_PATH },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    child.stderr.on("data", (data) => {
      log = (log + data).slice(-20_000);
    });
    child.once("error", (error) => {
      log += String(error);
    });
    const port = await eventually(
      "the mock of Kafka listens",
      () => {
        if (child.exitCode !== null) throw new Error(`kcat ended: ${log}`);
        return Number(/bootstrap\.servers=127\.0\.0\.1:(\d+)/.exec(log)?.[1]) || undefined;
      },
      15_000,
    );
    return new KafkaServer(child, await KafkaProxy.open(port, certificate));
  }

  /** `host:port` for clients. */
  get address(): string {
    return this.proxy.address;
  }

  async stop(): Promise<void> {
    await this.proxy.goAway();
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
  }
}

/** Tests that need `kcat`. Where there is none, they are skipped, or fail when `REQUIRE_SERVICES=1`. */
export function describeWithKafka(name: string, tests: () => void): void {
  describeNeeding(missingProgram("kcat"))(name, tests);
}
