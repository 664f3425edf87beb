import type { V1Secret } from "@kubernetes/client-node";
import { FaasError } from "../../../contract/errors.ts";
import { qualifiedName } from "../../../contract/functions.ts";
import { type SecretName, secretInUse } from "../../../contract/secrets.ts";
import type { SecretStore } from "../backend.ts";
import { hasStatus } from "./client/api-error.ts";
import type { KubernetesClient } from "./client/kubernetes-client.ts";
import { apiPath } from "./client/paths.ts";
import { SECRET_SELECTOR } from "./resources/names.ts";
import { buildSecret, isManagedSecret, secretProblems } from "./resources/secret.ts";

export interface SecretsOptions {
  readonly client: KubernetesClient;
  /** @throws {FaasError} `invalid` for an unknown namespace, `unavailable` once closed */
  requireNamespace(name: string): Promise<void>;
  /** Names of the functions that are deployed with it. */
  usersOf(secret: SecretName): readonly string[];
}

interface Page {
  readonly metadata?: { readonly continue?: string };
  readonly items?: readonly V1Secret[];
}

const PAGE_SIZE = 100;

/** Secrets that carry the label of this API; others are not shown, and cannot be changed. */
export class KubernetesSecrets implements SecretStore {
  readonly #options: SecretsOptions;

  constructor(options: SecretsOptions) {
    this.#options = options;
  }

  async list(namespace: string): Promise<SecretName[]> {
    await this.#options.requireNamespace(namespace);
    const names: string[] = [];
    for (let next: string | undefined; ; ) {
      const query = { labelSelector: SECRET_SELECTOR, limit: PAGE_SIZE, continue: next };
      const page = await this.#options.client.get<Page>(apiPath.secrets(namespace), query);
      names.push(...(page.items ?? []).flatMap(({ metadata }) => metadata?.name ?? []));
      next = page.metadata?.continue || undefined;
      if (!next) return names.sort().map((name) => ({ name, namespace }));
    }
  }

  async create(secret: SecretName, value: Buffer): Promise<void> {
    await this.#options.requireNamespace(secret.namespace);
    check(secret, value);
    try {
      await this.#options.client.create(apiPath.secrets(secret.namespace), buildSecret(secret, value));
    } catch (cause) {
      if (!hasStatus(cause, 409)) throw cause;
      throw new FaasError("conflict", `secret ${qualifiedName(secret)} already exists`, { cause });
    }
  }

  async revision({ name, namespace }: SecretName): Promise<string | undefined> {
    const found = await this.#options.client.find<V1Secret>(apiPath.secret(namespace, name));
    return found?.metadata?.resourceVersion;
  }

  async update(secret: SecretName, value: Buffer): Promise<void> {
    check(secret, value);
    await this.#require(secret);
    const { data } = buildSecret(secret, value);
    await this.#options.client.mergePatch(apiPath.secret(secret.namespace, secret.name), { data });
  }

  /** Pods keep the files that they have until there is one of that name again, whose value they get. */
  async remove(secret: SecretName, force = false): Promise<void> {
    const { metadata } = await this.#require(secret);
    const users = force ? [] : this.#options.usersOf(secret);
    if (users.length > 0) throw secretInUse(secret, users);
    await this.#options.client.remove(apiPath.secret(secret.namespace, secret.name), metadata?.uid);
  }

  async #require(secret: SecretName): Promise<V1Secret> {
    await this.#options.requireNamespace(secret.namespace);
    const found = await this.#options.client.find<V1Secret>(apiPath.secret(secret.namespace, secret.name));
    if (found && isManagedSecret(found)) return found;
    throw new FaasError("notFound", `secret ${qualifiedName(secret)} not found`);
  }
}

function check(secret: SecretName, value: Buffer): void {
  const problems = secretProblems(secret, value);
  if (problems.length > 0) throw new FaasError("invalid", problems.join("; "));
}
