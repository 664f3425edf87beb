/** The broker that is there in every namespace without being declared. */
export const DEFAULT_BROKER = "default";
