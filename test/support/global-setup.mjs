import { writeBundle } from "../../watchdog/bundle.mjs";

/** Tests start the real watchdog and what the image has, so bundle and package have to be those of this tree. */
export default async function globalSetup() {
  await writeBundle();
  const { refreshPackage } = await import("../../deploy/build-package.mjs");
  await refreshPackage();
}
