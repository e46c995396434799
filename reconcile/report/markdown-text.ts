/** Text from a cluster or a repository inside Markdown, which nothing in it can leave; and the room that a comment has. */
import { printable } from './style.ts';

/** GitHub takes 65,536 characters, GitLab about a million. A character here is a UTF-16 unit: never fewer than theirs. */
const commentLimit = 65_000;

/** One text in a comment is cut here, so that a single message does not take all the room. */
const longest = 1_000;

function short(text: string, most = longest): string {
  return text.length > most ? `${text.slice(0, most - 1).toWellFormed()}…` : text;
}

/** Text inside a table cell or a list item: nothing in it may end the cell, start a tag, or call a person. */
export function cell(text: string): string {
  return printable(short(text))
    .replace(/[\\|<>`*_[\]&~$]/g, '\\$&')
    .replaceAll('@', '@\u200b');
}

/** Text as code within a line. */
export function code(text: string): string {
  return `\`${printable(short(text)).replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}

/** Text inside raw HTML, such as a summary, where Markdown's escapes mean nothing. */
function htmlText(text: string): string {
  return printable(short(text))
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('@', '@\u200b');
}

/** Text inside a fenced block: a fence in it must not end the block. */
export function fenced(text: string): string {
  return printable(short(text)).replaceAll('```', "'''");
}

/** A closed fold with a diff in it; lines beyond `most` characters are counted. */
export function fold(summary: string, lines: readonly string[], most = 12_000): string {
  const shown: string[] = [];
  let used = 0;
  for (const line of lines) {
    if (used + line.length > most) break;
    used += line.length + 1;
    shown.push(line);
  }
  const more = lines.length - shown.length;
  const rest = more > 0 ? [`# and ${more} more`] : [];
  return `<details><summary>${htmlText(summary)}</summary>\n\n\`\`\`diff\n${[...shown, ...rest].join('\n')}\n\`\`\`\n\n</details>\n`;
}

/** A marker that a bot finds its own comment by; several instances have a name each. */
export function commentMarker(name: string | undefined): string {
  return name === undefined ? '<!-- patchpanel plan -->' : `<!-- patchpanel plan: ${name} -->`;
}

/** What a comment still has room for. Whoever asks first is served first, whatever the order on the page. */
export class Room {
  #left = commentLimit;

  /** Keeps characters for what is written at last, such as what was left out. */
  reserve(characters: number): void {
    this.#left -= characters;
  }

  /**
   * As many of the items as fit, in their order, a character for a line break with each.
   * @param share of the room that is left, at most
   */
  take(items: readonly string[], share = 1): { readonly shown: readonly string[]; readonly hidden: number } {
    let budget = Math.floor(this.#left * share);
    const shown: string[] = [];
    for (const item of items) {
      if (item.length + 1 > budget) break;
      budget -= item.length + 1;
      this.#left -= item.length + 1;
      shown.push(item);
    }
    return { shown, hidden: items.length - shown.length };
  }
}
