type Env = Readonly<Record<string, string | undefined>>;

const TEMPLATE_STORE = "https://raw.githubusercontent.com/openfaas/store/master/templates.json";
const FUNCTION_STORE = "https://raw.githubusercontent.com/openfaas/store/master/functions.json";
const TEMPLATE_REPOSITORY = "https://github.com/openfaas/templates.git";

/** Variables that name another one, as long as no flag does. */
export const TEMPLATE_STORE_VARIABLE = "OPENFAAS_TEMPLATE_STORE_URL";
export const FUNCTION_STORE_VARIABLE = "OPENFAAS_STORE";
export const TEMPLATE_REPOSITORY_VARIABLE = "OPENFAAS_TEMPLATE_URL";

export const templateStoreUrl = (env: Env, flag?: string): string =>
  flag || env[TEMPLATE_STORE_VARIABLE] || TEMPLATE_STORE;

export const functionStoreUrl = (env: Env, flag?: string): string =>
  flag || env[FUNCTION_STORE_VARIABLE] || FUNCTION_STORE;

export const templateRepository = (env: Env, argument?: string): string =>
  argument || env[TEMPLATE_REPOSITORY_VARIABLE] || TEMPLATE_REPOSITORY;
