/** A failure for a person: what, where with the line itself, and the way out. */
import { type PatchpanelError, PatchpanelErrors } from '../errors.ts';
import { printable, type Style } from './style.ts';

/** Source lines are cut here, so that a minified file does not flood the terminal. */
const widest = 160;

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
  const all = error.errors.map((each) => oneError(each, style));
  return `${all.join('\n')}\n${error.errors.length} problems found; the cluster was not touched.\n`;
}

/** The same as one JSON object, for `--log-format json` and `-o json`. */
export function errorJson(error: PatchpanelError | PatchpanelErrors): object {
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
