export const SANDBOX_SETTINGS = ["auto", "required", "off"] as const;
/** `auto`: behind a wall where one can be made. `required`: not at all without. `off`: without a wall, knowingly. */
export type SandboxSetting = (typeof SANDBOX_SETTINGS)[number];

/** What keeps a function from everything else, the weakest first. */
export type SandboxLevel = "none" | "permission" | "bubblewrap" | "bubblewrap+cgroup";
