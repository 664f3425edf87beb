import { FaasError } from "../../../contract/errors.ts";
import type { SecretRef } from "../../../contract/events/secret-ref.ts";
import type { SourceContext } from "../source.ts";

/** Values hold for so long; a changed secret counts soon after. */
const HOLD_MS = 2_000;

/** Secrets that senders share. A value of several lines is as many secrets, any of which is right. */
export class SharedSecrets {
  readonly #refs: readonly SecretRef[];
  readonly #context: Pick<SourceContext, "secret" | "warn">;
  #read: { readonly at: number; readonly values: Promise<readonly string[]> } | undefined;

  constructor(refs: readonly SecretRef[], context: Pick<SourceContext, "secret" | "warn">) {
    this.#refs = refs;
    this.#context = context;
  }

  /** @throws {FaasError} `unavailable` when one cannot be read, or is empty */
  read(): Promise<readonly string[]> {
    const now = performance.now();
    if (this.#read && now - this.#read.at < HOLD_MS) return this.#read.values;
    const values = this.#readAll();
    this.#read = { at: now, values };
    values.catch(() => {}); // whoever asked is told
    return values;
  }

  async areThere(): Promise<boolean> {
    return await this.read().then(
      () => true,
      () => false,
    );
  }

  async #readAll(): Promise<readonly string[]> {
    try {
      const texts = await Promise.all(this.#refs.map(({ secret, key }) => this.#context.secret(secret, key)));
      const lines = texts.map((text) => text.split(/\r?\n/).filter((line) => line.trim() !== ""));
      const empty = lines.findIndex((each) => each.length === 0);
      if (empty >= 0) throw new FaasError("unavailable", `secret ${this.#refs[empty]?.secret} is empty`);
      return lines.flat();
    } catch (error) {
      this.#context.warn(error);
      // Its sender is to come again; what is wrong here is not its business.
      throw new FaasError("unavailable", "the webhook's secret cannot be read now", { cause: error });
    }
  }
}
