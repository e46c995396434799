/** Faults of the input as Markdown, for the comment that else would hold a plan. */
import type { PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { faultFindings } from './findings.ts';
import { cell, commentMarker, Room } from './markdown-text.ts';
import { count } from './words.ts';

/** Under 65,000 characters, whatever the faults. Ends with a newline. */
export function faultMarkdown(error: PatchpanelError | PatchpanelErrors, marker?: string): string {
  const room = new Room();
  room.reserve(200);
  const findings = faultFindings(error);
  const head = [
    commentMarker(marker),
    `**Not valid: ${count(findings.length, 'fault')}; nothing was planned.**`,
    '',
    '| place | fault | remedy |',
    '|---|---|---|',
  ];
  room.take(head);
  const rows = findings.map(({ rule, message, remedy = '', position }) => {
    const place = position === undefined ? '' : `${position.file}:${position.line}:${position.column}`;
    return `| ${cell(place)} | ${cell(message)} (${rule}) | ${cell(remedy)} |`;
  });
  const { shown, hidden } = room.take(rows);
  const rest = hidden > 0 ? ['', `${hidden} more are not shown; \`patchpanel validate -o json\` has them all.`] : [];
  return `${[...head, ...shown, ...rest].join('\n')}\n`;
}
