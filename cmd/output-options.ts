/** Options that say how results and messages are written. */
import { type Command, Option } from 'commander';
import type { LogFormat } from './terminal.ts';

export interface LogFlags {
  readonly logFormat: LogFormat;
}

/** `-o, --output`; the first format is the default. */
export function addOutput(command: Command, formats: readonly string[]): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'format of the result').choices(formats).default(formats[0]),
  );
}

export function addLogFormat(command: Command): Command {
  return command.addOption(
    new Option('--log-format <format>', 'format of progress and errors, on standard error')
      .choices(['text', 'json'])
      .default('text'),
  );
}
