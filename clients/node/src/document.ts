// SPDX-License-Identifier: Apache-2.0

// A file of conformance vectors, as clients/vectors/README.md describes it.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Names = Map<string, string>;

export interface WantedError {
  code: string;
  reason: string;
  rc: string;
  metadata?: Record<string, string>;
}

export interface Step {
  call: string;
  as?: string;
  request?: Json;
  requests?: Json[];
  answer?: Json;
  answers?: Json[];
  error?: WantedError;
  save?: Record<string, string>;
}

export interface Vector {
  name: string;
  steps: Step[];
}

export interface Document {
  ignore: string[];
  vectors: Vector[];
}

/** The text with each ${name} replaced. */
export function text(value: string, names: Names): string {
  return value.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const found = names.get(name);
    if (found === undefined) {
      throw new Error(`${name} was not saved`);
    }
    return found;
  });
}

/** A copy in which each ${name} is replaced, and each form of bytes is base64. */
export function filled(value: Json, names: Names): Json {
  if (typeof value === 'string') {
    return text(value, names);
  }
  if (Array.isArray(value)) {
    return value.map((item) => filled(item, names));
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  const bytes = asBytes(value, names);
  return bytes ? bytes.toString('base64') : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, names)]));
}

function asBytes(value: { [key: string]: Json }, names: Names): Buffer | undefined {
  if (typeof value['$text'] === 'string') {
    return Buffer.from(text(value['$text'], names));
  }
  if (typeof value['$hex'] === 'string') {
    return Buffer.from(value['$hex'], 'hex');
  }
  return typeof value['$fill'] === 'number' ? Buffer.alloc(Number(value['size']), value['$fill']) : undefined;
}

/** A copy without the fields of these names, at any depth. */
export function without(value: Json, ignored: string[]): Json {
  if (Array.isArray(value)) {
    return value.map((item) => without(item, ignored));
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  return Object.fromEntries(Object.entries(value).filter(([key]) => !ignored.includes(key)).map(([key, item]) => [key, without(item, ignored)]));
}

/** The field that a path such as "snapshot.epoch" names. */
export function at(value: Json, path: string): string {
  let found: Json | undefined = value;
  for (const part of path.split('.')) {
    found = found !== null && typeof found === 'object' && !Array.isArray(found) ? found[part] : undefined;
  }
  if (found === undefined) {
    throw new Error(`the answer has no ${path}`);
  }
  return String(found);
}
