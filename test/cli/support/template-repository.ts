import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { makeWorkspace, type Workspace } from "./run-cli.ts";

export interface TemplateRepository extends Workspace {
  /** Runs git in it. @returns what it prints */
  git(...args: string[]): Promise<string>;
}

/** A repository with one commit of `files`. */
export async function makeRepository(files: Readonly<Record<string, string>>): Promise<TemplateRepository> {
  const workspace = await makeWorkspace(files);
  const git = async (...args: string[]) => {
    const author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    const { stdout } = await promisify(execFile)("git", [...author, ...args], { cwd: workspace.path });
    return stdout.trim();
  };
  await git("init", "--quiet", "--initial-branch=main");
  await git("add", "--all");
  await git("commit", "--quiet", "--message=first");
  return { ...workspace, git };
}

/** Two templates, as repositories have them. */
export const TEMPLATES = {
  "README.md": "templates\n",
  "template/ruby/template.yml": "language: ruby\nfprocess: ruby index.rb\n",
  "template/ruby/Dockerfile": "FROM ruby\n",
  "template/ruby/function/handler.rb": "sample\n",
  "template/perl/template.yml": "language: perl\n",
  "template/perl/function/handler.pl": "sample\n",
  "template/none/README.md": "no template\n",
};
