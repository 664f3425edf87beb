import { YamlReader } from "./yaml-reader.ts";

/** What `template.yml` says. */
export interface Template {
  readonly language?: string;
  readonly fprocess?: string;
  readonly welcomeMessage?: string;
  /** The template whose files this one's are laid over; a key of ours. */
  readonly extends?: string;
  /** Where the handler goes inside the template. */
  readonly handlerFolder?: string;
  /** Build option → packages. */
  readonly buildOptions: ReadonlyMap<string, readonly string[]>;
}

/** @throws {CliError} */
export function parseTemplate(text: string, file: string): Template {
  const reader = new YamlReader(text, file);
  const top = reader.entries(reader.root);
  const optional = <K extends string>(key: K, field: string) => {
    const value = reader.text(top.get(field)) ?? "";
    return (value === "" ? {} : { [key]: value }) as { [P in K]?: string };
  };
  const options = reader.items(top.get("build_options") ?? { node: null, path: "build_options" }).map((item) => {
    const fields = reader.entries(item);
    const name = reader.text(fields.get("name")) ?? reader.fail(item, "the name is missing");
    return [name, reader.texts(fields.get("packages"))] as const;
  });
  const folder = top.get("handler_folder");
  if (folder && /^\/|\\|(?:^|\/)\.\.(?:\/|$)/.test(reader.text(folder) ?? "")) {
    reader.fail(folder, "must be a folder inside of the template");
  }
  return {
    ...optional("language", "language"),
    ...optional("fprocess", "fprocess"),
    ...optional("welcomeMessage", "welcome_message"),
    ...optional("extends", "extends"),
    ...optional("handlerFolder", "handler_folder"),
    buildOptions: new Map(options),
  };
}
