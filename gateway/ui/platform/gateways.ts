import { FaasError } from "../../../contract/errors.ts";
import { decodeUiGateway, type UiGateway, type UiGateways } from "../../../contract/ui/platform.ts";
import type { OtherGateways } from "../live/other-gateways.ts";

/** The gateways that share their work: this one, and those that answer it. */
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
    const answers = (await this.#others?.ask({ kind: "gateway" })) ?? [];
    const others = answers.flatMap((value) => gatewayIn(value) ?? []).filter(({ name }) => name !== own.name);
    others.sort((one, other) => (one.name < other.name ? -1 : 1));
    return { gateways: [own, ...others], areShared: this.#others !== undefined };
  }

  /** As others are told. */
  answer(): string {
    return JSON.stringify(this.#own());
  }
}

/** Undefined for what is no answer. */
function gatewayIn(value: unknown): UiGateway | undefined {
  try {
    return decodeUiGateway(value);
  } catch (error) {
    if (error instanceof FaasError) return undefined;
    throw error;
  }
}
