/** Colour and weight for a terminal; plain text where the stream is not one, or NO_COLOR is set. */
import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly added: (text: string) => string;
  readonly removed: (text: string) => string;
  readonly changed: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly good: (text: string) => string;
}

/** A style that colours, or one that returns its text unchanged. */
export function makeStyle(colours: boolean): Style {
  function paint(format: Format): (text: string) => string {
    return (text) => (colours ? styleText(format, text, { validateStream: false }) : text);
  }
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    added: paint('green'),
    removed: paint('red'),
    changed: paint('yellow'),
    bad: paint(['bold', 'red']),
    good: paint('green'),
  };
}

/** Whether to colour a stream: it is a terminal and NO_COLOR (no-color.org) is not set; FORCE_COLOR forces. */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '0') return true;
  return stream.isTTY === true;
}

/**
 * Text from a cluster or a repository, made safe for a terminal and a log: control characters, which could move the
 * cursor or forge a line, and marks that are not seen or turn the direction of the text are shown as escapes.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
