import type { StoreFunction } from "../store.ts";

/** A function of a store, as the page offers it. */
export interface UiOffer extends Omit<StoreFunction, "source" | "icon"> {
  /** It is built from sources that come with the gateway, by this template; `GET /ui/api/store/NAME` tells them. */
  readonly template?: string;
}

/** `GET /ui/api/store`. */
export interface UiStore {
  /** Sorted by name. */
  readonly functions: readonly UiOffer[];
  /** Address of the store that was asked beside our own; absent when none is to be. */
  readonly url?: string;
  /** Why that could not be read; what comes with the gateway is there all the same. */
  readonly problem?: string;
}

/** A file of a build context. */
export interface UiFile {
  /** With slashes, relative. */
  readonly path: string;
  readonly text: string;
  /** Absent when `text` is the file's own. */
  readonly encoding?: "base64";
}

/** `GET /ui/api/store/NAME`: what a function of our own is built from. */
export interface UiOfferSources {
  readonly template: string;
  readonly files: readonly UiFile[];
}

/** `GET /ui/api/templates`. */
export interface UiTemplates {
  /** Sorted by name. */
  readonly templates: readonly { readonly name: string; readonly about?: string }[];
}

/** `GET /ui/api/templates/NAME`: what the handler is laid into. */
export interface UiTemplate {
  readonly name: string;
  /** Where the handler goes; empty when it is the whole context. */
  readonly handlerFolder: string;
  /** Of the template and of those that it extends, without any handler. */
  readonly files: readonly UiFile[];
  /** Handler that it comes with, by paths below {@link handlerFolder}. */
  readonly sample: readonly UiFile[];
  /** Texts of their `.dockerignore`, which hold for the handler too. */
  readonly ignore: readonly string[];
}
