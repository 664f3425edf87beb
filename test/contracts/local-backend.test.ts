import { inProcess, NAMESPACE, openFixture } from "../provider/local/support.ts";
import { type BackendUnderTest, describeBackend } from "./backend-contract.ts";

const answering = (version: string) =>
  inProcess(`
    export default (req, res) => {
      console.log(req.url);
      setTimeout(() => res.end("${version}"), Number(/^\\/(\\d+)/.exec(req.url)?.[1] ?? 0));
    };
  `);

describeBackend("local", async (): Promise<BackendUnderTest> => {
  const fixture = await openFixture();
  await fixture.addImage("contract:v1", answering("v1"));
  await fixture.addImage("contract:v2", answering("v2"));
  await fixture.addImage("contract:broken", inProcess(`throw new Error("no licence");`));
  return {
    get backend() {
      return fixture.backend;
    },
    defaultNamespace: NAMESPACE,
    images: { v1: "contract:v1", v2: "contract:v2" },
    brokenImage: "contract:broken",
    reopen: () => fixture.reopen(),
    close: () => fixture.close(),
  };
});
