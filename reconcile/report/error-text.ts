/** A failure for a person: what, where with the line itself, and the way out. */
import { type PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { printable, type Style } from './style.ts';

/** Source lines are cut here, so that a minified file does not flood the terminal. */
const widest = 160;

/** A wrong folder has faults without end: nobody reads on after so many. */
const mostShown = 50;

function excerpt(error: PatchpanelError): string[] {
  if (error.position === undefined || error.sourceLine === undefined) return [];
  const { line, column } = error.position;
  const from = Math.max(0, column - widest + 20);
  const shown = printable(error.sourceLine.replaceAll('\t', ' ').slice(from, from + widest));
  const margin = `${line} | `;
  return [`  ${margin}${shown}`, `  ${' '.repeat(margin.length + Math.max(0, column - 1 - from))}^`];
}

function oneError(error: PatchpanelError, style: Style): string {
  const { position } = error;
  const place = position === undefined ? '' : `${printable(position.file)}:${position.line}:${position.column}: `;
  const lines = [
    `${style.bad('error')} ${place}${error.message.split('\n').map(printable).join('\n  ')} (${error.code})`,
  ];
  lines.push(...excerpt(error), `  ${printable(error.remedy)}`);
  return lines.join('\n');
}

/** One failure or many; ends with a newline. */
export function errorText(error: PatchpanelError | PatchpanelErrors, style: Style): string {
  if (!(error instanceof PatchpanelErrors)) return `${oneError(error, style)}\n`;
  const shown = error.errors.slice(0, mostShown).map((each) => oneError(each, style));
  const more = error.errors.length - shown.length;
  const rest = more > 0 ? `; ${more} more are not shown, \`patchpanel validate -o json\` has them all` : '';
  return `${shown.join('\n')}\n${error.errors.length} problems found; the cluster was not touched${rest}.\n`;
}

/** The same as one JSON object, for `-o json`. */
export function errorJson(error: PatchpanelError | PatchpanelErrors): { readonly errors: readonly object[] } {
  const all = error instanceof PatchpanelErrors ? error.errors : [error];
  return {
    errors: all.map(({ code, message, position, remedy, retryable, exitCode }) => ({
      code,
      message,
      ...(position === undefined ? {} : { position }),
      remedy,
      retryable,
      exitCode,
    })),
  };
}

/** The same as lines of a JSON log: one for each failure. */
export function errorLines(error: PatchpanelError | PatchpanelErrors, now: Date, run: object): string {
  const head = { time: now.toISOString(), level: 'error', ...run, type: 'error' };
  return errorJson(error)
    .errors.map((each) => `${JSON.stringify({ ...head, ...each })}\n`)
    .join('');
}
