import { FaasError } from "../../../contract/errors.ts";
import { decodeUiGateway, decodeUiWorker, type UiGateway, type UiGateways } from "../../../contract/ui/platform.ts";
import type { OtherGateways } from "../live/other-gateways.ts";

/** The gateways that share their work, this one and those that answer it, and the workers beside them. */
export class KnownGateways {
  readonly #own: () => UiGateway;
  readonly #others: OtherGateways | undefined;

  /** @param others absent where this gateway is alone */
  constructor(own: () => UiGateway, others: OtherGateways | undefined) {
    this.#own = own;
    this.#others = others;
  }

  async list(): Promise<UiGateways> {
    const own = this.#own();
    const [gateways = [], workers = []] = await Promise.all([
      this.#others?.ask({ kind: "gateway" }),
      this.#others?.ask({ kind: "worker" }),
    ]);
    const others = readAll(gateways, decodeUiGateway).filter(({ name }) => name !== own.name);
    return {
      gateways: [own, ...others.sort(byName)],
      workers: readAll(workers, decodeUiWorker).sort(byName),
      areShared: this.#others !== undefined,
    };
  }

  /** As others are told. */
  answer(): string {
    return JSON.stringify(this.#own());
  }
}

const byName = (one: { readonly name: string }, other: { readonly name: string }) => (one.name < other.name ? -1 : 1);

/** Leaves out what is no answer. */
function readAll<T>(values: readonly unknown[], decode: (value: unknown) => T): T[] {
  return values.flatMap((value) => {
    try {
      return [decode(value)];
    } catch (error) {
      if (error instanceof FaasError) return [];
      throw error;
    }
  });
}
