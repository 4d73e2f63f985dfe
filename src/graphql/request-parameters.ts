import type { Plugin } from 'graphql-yoga';
import { badUserInput } from './errors.ts';

/** Checks that the JSON parameters of a GET request are well formed. */
export const checkParameters: Plugin = {
  onRequestParse({ url }) {
    for (const name of ['variables', 'extensions']) {
      const value = url.searchParams.get(name);
      if (value !== null && !isJson(value)) throw badUserInput(`\`${name}\` is not well-formed JSON.`);
    }
  },
};

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
