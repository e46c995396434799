/**
 * Just enough of Jsonnet's lexical grammar to find imports and literals, with their places.
 * Grammar: the lexing section of the Jsonnet specification.
 */

export interface JsonnetToken {
  readonly kind: 'word' | 'string' | 'textBlock' | 'other';
  readonly offset: number;
  /** The word, the decoded string, or the characters of anything else. */
  readonly text: string;
}

/** Characters that separate tokens, and comments; sticky, from where a token may begin. */
const blank = /(?:[ \t\r\n]+|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const word = /[A-Za-z_][A-Za-z0-9_]*/y;
const textBlockOpening = /\|\|\|-?[ \t\r]*\n/y;

/** Offset of the next character that is neither white space nor part of a comment. */
export function skipBlank(text: string, offset: number): number {
  blank.lastIndex = offset;
  return offset + (blank.exec(text)?.[0].length ?? 0);
}

/** All tokens; text that is not Jsonnet gives tokens of kind `other`, and it is for the evaluator to complain. */
export function lexJsonnet(text: string): JsonnetToken[] {
  const tokens: JsonnetToken[] = [];
  for (let at = skipBlank(text, 0); at < text.length; ) {
    const { token, end } = tokenAt(text, at);
    tokens.push(token);
    at = skipBlank(text, end);
  }
  return tokens;
}

/** The token that begins at an offset. */
export function tokenAt(text: string, offset: number): { readonly token: JsonnetToken; readonly end: number } {
  const quoted = stringAt(text, offset);
  if (quoted !== undefined) return { token: { kind: 'string', offset, text: quoted.text }, end: quoted.end };
  textBlockOpening.lastIndex = offset;
  const opening = textBlockOpening.exec(text);
  if (opening !== null) {
    const end = textBlockEnd(text, offset + opening[0].length);
    return { token: { kind: 'textBlock', offset, text: text.slice(offset, end) }, end };
  }
  word.lastIndex = offset;
  const found = word.exec(text);
  if (found !== null) return { token: { kind: 'word', offset, text: found[0] }, end: offset + found[0].length };
  return { token: { kind: 'other', offset, text: text.charAt(offset) }, end: offset + 1 };
}

function stringAt(text: string, offset: number): { readonly text: string; readonly end: number } | undefined {
  const verbatim = text[offset] === '@';
  const start = verbatim ? offset + 1 : offset;
  const quote = text[start];
  if (quote !== '"' && quote !== "'") return undefined;
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === quote) {
      if (!verbatim || text[at + 1] !== quote) return { text: value, end: at + 1 };
      value += quote;
      at += 1;
    } else if (character === '\\' && !verbatim) {
      const escaped = escapeAt(text, at + 1);
      value += escaped.text;
      at = escaped.end - 1;
    } else value += character;
  }
  return { text: value, end: text.length };
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function escapeAt(text: string, at: number): { readonly text: string; readonly end: number } {
  const character = text.charAt(at);
  if (character !== 'u') return { text: escapes[character] ?? character, end: at + 1 };
  const code = Number.parseInt(text.slice(at + 1, at + 5), 16);
  return { text: Number.isNaN(code) ? '' : String.fromCharCode(code), end: at + 5 };
}

/** A text block ends at the first line that is not indented as its first line and begins with `|||`. */
function textBlockEnd(text: string, start: number): number {
  const firstLine = /\n*([ \t]*)/y;
  firstLine.lastIndex = start;
  const indent = firstLine.exec(text)?.[1] ?? '';
  for (let at = start; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline + 1;
    const line = text.slice(at, end);
    if (line.trim() !== '' && !(indent !== '' && line.startsWith(indent))) {
      const closing = /^[ \t]*\|\|\|/.exec(line);
      return closing === null ? at : at + closing[0].length;
    }
    at = end;
  }
  return text.length;
}
