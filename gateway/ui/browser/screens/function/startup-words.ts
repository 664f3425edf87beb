/** What a replica has reached on its way to its first call. */
export const STARTUP_WORDS: Readonly<Record<string, string>> = {
  scheduled: "A machine was chosen",
  sandbox: "Its environment was made",
  started: "Its process began",
  listening: "The function took calls",
  announced: "It told the provider",
  offered: "Gateways were told",
};
