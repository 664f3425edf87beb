/** The broker that is there in every namespace without being declared. */
export const DEFAULT_BROKER = "default";
/** Keeps what functions send to sinks. It takes no events of others unless somebody declares it. */
export const SINK_BROKER = "sinks";
