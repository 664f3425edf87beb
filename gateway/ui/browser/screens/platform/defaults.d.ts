/** Defaults of the gateway's variables as its documentation tells them; put in when the page is built. */
declare const DOCUMENTED_DEFAULTS: Readonly<Record<string, string>>;
