/** What a blocker has to be pasted elsewhere. */
import type { Blocker } from '../plan/model.ts';
import { printable } from './style.ts';

/** An indented block for a terminal, with an empty line on either side. */
export function pasteLines({ paste }: Blocker, indent: string): readonly string[] {
  if (paste === undefined) return [];
  return ['', ...paste.split('\n').map((line) => `${indent}${printable(line)}`), ''];
}

/** A folded block within a list item of Markdown; empty where there is nothing. Its names are those of objects. */
export function pasteFold({ paste }: Blocker): string {
  if (paste === undefined) return '';
  const lines = paste.split('\n').map((line) => `  ${printable(line)}`);
  return `\n  <details><summary>To paste</summary>\n\n  \`\`\`yaml\n${lines.join('\n')}\n  \`\`\`\n\n  </details>`;
}
