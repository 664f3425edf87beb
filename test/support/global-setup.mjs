/** Tests start the real watchdog, so its bundle has to be the one of this tree. */
export default async function globalSetup() {
  await import("../../watchdog/bundle.mjs");
}
