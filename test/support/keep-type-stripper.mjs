import { stripTypeScriptTypes } from "node:module";

// Threads that run our sources load Node's type stripper, which is WebAssembly. Where nothing else in the process has it,
// V8 frees its code with the last of these threads, at times while the next one still uses it: the process dies of SIGSEGV.
// So the main thread has it, too, and keeps it.
stripTypeScriptTypes("let kept: true;");
