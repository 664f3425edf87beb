import { type CommandNode, flatten, nameOf } from "./describe-tree.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type CompletionShell = (typeof SHELLS)[number];

/**
 * Lists functions by the names that they can have: what else a gateway says must not reach a shell, which would act on
 * it.
 */
const LIST_FUNCTIONS = "faaslane list -q 2>/dev/null | grep -E '^[a-z0-9][a-z0-9.-]*$'";

/** A script that makes `shell` complete the commands of `root`. */
export function completionScript(shell: CompletionShell, root: CommandNode): string {
  switch (shell) {
    case "bash":
      return bashScript(root);
    case "zsh":
      return zshScript(root);
    case "fish":
      return fishScript(root);
  }
}

/** Which command the words before the cursor name, in the syntax that bash and zsh share. */
function pathFunction(root: CommandNode): string {
  const nodes = flatten(root);
  const withValue = new Set(
    nodes.flatMap(({ flags }) =>
      flags.filter((flag) => flag.takesValue).flatMap(({ long, short }) => (short ? [long, short] : [long])),
    ),
  );
  const steps = nodes.flatMap((node) => {
    if (node.path === "") return [];
    const parent = node.path.slice(0, Math.max(0, node.path.lastIndexOf(" ")));
    const words = [nameOf(node), ...node.aliases].map((name) => `"${`${parent} ${name}`.trim()}"`);
    return `      ${words.join("|")}) at="${node.path}" ;;`;
  });
  return `_faaslane_path() {
  local at="" word skip=""
  for word in "$@"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$word" in
      ${[...withValue].join("|")}) skip=1; continue ;;
      -*) continue ;;
    esac
    case "\${at:+$at }$word" in
${steps.join("\n")}
      *) break ;;
    esac
  done
  printf %s "$at"
}
`;
}

function bashScript(root: CommandNode): string {
  const cases = flatten(root).map(({ path, flags, children, takesFunction }) => {
    const words = children.flatMap((child) => [nameOf(child), ...child.aliases]).join(" ");
    const names = takesFunction ? `$(${LIST_FUNCTIONS})` : words;
    const long = flags.map((flag) => flag.long).join(" ");
    return `    "${path}") flags="${long}"; words="${names}" ;;`;
  });
  return `# faaslane completion for bash; source it, or save it as /etc/bash_completion.d/faaslane
${pathFunction(root)}
_faaslane() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" flags="" words=""
  case "$(_faaslane_path "\${COMP_WORDS[@]:1:COMP_CWORD-1}")" in
${cases.join("\n")}
  esac
  case "$cur" in
    -*) words="$flags" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _faaslane faaslane
`;
}

function zshScript(root: CommandNode): string {
  const cases = flatten(root).map(({ path, flags, children, takesFunction }) => {
    const items = children.map((child) => zshItem(nameOf(child), child.summary)).join(" ");
    const names = takesFunction ? `"\${(@f)$(${LIST_FUNCTIONS})}"` : items;
    const long = flags.map((flag) => zshItem(flag.long, flag.summary)).join(" ");
    return `    "${path}") flags=(${long}); words_=(${names}) ;;`;
  });
  return `#compdef faaslane
# faaslane completion for zsh; save it as _faaslane in a folder of $fpath, or source it after compinit
${pathFunction(root)}
_faaslane() {
  local -a flags words_
  case "$(_faaslane_path "\${(@)words[2,CURRENT-1]}")" in
${cases.join("\n")}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    _describe -o flag flags
  else
    _describe command words_ || _files
  fi
}
compdef _faaslane faaslane
`;
}

function fishScript(root: CommandNode): string {
  const lines = flatten(root).flatMap(({ path, flags, children, takesFunction }) => {
    const at = `complete -c faaslane -n '__faaslane_at ${path}'`;
    return [
      ...children.map((child) => `${at} -f -a ${quote(nameOf(child))} -d ${quote(child.summary)}`),
      ...(takesFunction ? [`${at} -f -a "(${LIST_FUNCTIONS.replace("$'", "\\$'")})" -d function`] : []),
      ...flags.map(({ long, short, takesValue, summary }) =>
        [
          ...[at, `-l ${long.slice(2)}`, ...(short ? [`-s ${short.slice(1)}`] : [])],
          ...[...(takesValue ? ["-r"] : []), `-d ${quote(summary)}`],
        ].join(" "),
      ),
    ];
  });
  const paths = flatten(root).flatMap((node) => {
    if (node.path === "") return [];
    const parent = node.path.slice(0, Math.max(0, node.path.lastIndexOf(" ")));
    const words = [nameOf(node), ...node.aliases].map((name) => quote(`${parent} ${name}`.trim()));
    return `            case ${words.join(" ")}\n                set at ${quote(node.path)}`;
  });
  return `# faaslane completion for fish; save it as ~/.config/fish/completions/faaslane.fish
function __faaslane_at
    set -l at ''
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        switch (string trim "$at $word")
${paths.join("\n")}
        end
    end
    test "$at" = "$argv"
end
${lines.join("\n")}
`;
}

function zshItem(name: string, summary: string): string {
  return quote(`${name}:${summary}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
