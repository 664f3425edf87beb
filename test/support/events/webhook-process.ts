import { openSourceStack } from "./source-stack.ts";

/** A process that takes webhooks over a store in a folder, and kills itself where it was told to. */
export interface WebhookOrders {
  readonly folder: string;
  readonly spec: object;
  readonly secrets: Readonly<Record<string, string>>;
  readonly dieAt?: { readonly append: number; readonly step: "before" | "after" };
}

const { folder, spec, secrets, dieAt } = JSON.parse(process.env.WEBHOOK as string) as WebhookOrders;
const stack = await openSourceStack({
  folder,
  secrets,
  onAppend: (step, append) => {
    if (append === dieAt?.append && step === dieAt.step) process.kill(process.pid, "SIGKILL");
  },
});
await stack.declare("hook", spec);
process.stdout.write(`${stack.url}\n`);
