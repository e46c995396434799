/** The formats of a plan, of what a change does, and of the faults that kept it from being made. */
import { writeFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { changeToJson } from '../reconcile/change/change-json.ts';
import type { Change } from '../reconcile/change/model.ts';
import { PatchpanelError, type PatchpanelErrors } from '../reconcile/errors.ts';
import type { Plan } from '../reconcile/plan/model.ts';
import { planToJson } from '../reconcile/plan/plan-json.ts';
import { changeMarkdown } from '../reconcile/report/change-markdown.ts';
import { changeText } from '../reconcile/report/change-text.ts';
import { faultMarkdown } from '../reconcile/report/fault-markdown.ts';
import { changeFindings, faultFindings, planFindings } from '../reconcile/report/findings.ts';
import { changePicture } from '../reconcile/report/html/change-picture.ts';
import { picturePage } from '../reconcile/report/html/page.ts';
import { type PlanGround, planPicture } from '../reconcile/report/html/plan-picture.ts';
import { changeJunit, faultJunit, planJunit } from '../reconcile/report/junit.ts';
import { planMarkdown } from '../reconcile/report/plan-markdown.ts';
import { planText } from '../reconcile/report/plan-text.ts';
import { sarifText } from '../reconcile/report/sarif.ts';
import { makeStyle, type Style } from '../reconcile/report/style.ts';
import { outputStyle, print } from './terminal.ts';

export const planFormats = ['text', 'json', 'markdown', 'html', 'junit', 'sarif'] as const;
export type PlanFormat = (typeof planFormats)[number];

/** A format on standard output, or in a file. */
export interface PlanOutput {
  readonly format: PlanFormat;
  readonly file?: string;
}

export interface PlanOutputOptions {
  readonly outputs: readonly PlanOutput[];
  readonly marker?: string;
  /** Of patchpanel. */
  readonly version: string;
}

/** Collects repeated `--write FORMAT=FILE`. */
export function writeOption(text: string, previous: readonly PlanOutput[] = []): readonly PlanOutput[] {
  const at = text.indexOf('=');
  const format = planFormats.find((each) => each === text.slice(0, Math.max(0, at)));
  const file = text.slice(at + 1);
  if (format === undefined || file === '') {
    throw new InvalidArgumentError(`It must be FORMAT=FILE, with one of ${planFormats.join(', ')}.`);
  }
  return [...previous, { format, file }];
}

/** A name that can not end the comment which it stands in. */
export function markerName(text: string): string {
  if (/^[\w][\w./:-]{0,63}$/.test(text) && !text.includes('--')) return text;
  throw new InvalidArgumentError('It must be letters, digits and . _ / : -, 64 at most.');
}

/** Files first: what is printed can be cut off by its reader. */
export async function putPlan(
  made: Plan | Change,
  ground: PlanGround | undefined,
  options: PlanOutputOptions,
): Promise<void> {
  await put(options.outputs, (format, style) => {
    if (format === 'html') return pictureOf(made, ground);
    return 'targets' in made ? planAs(made, format, style, options) : changeAs(made, format, style, options);
  });
}

function pictureOf(made: Plan | Change, ground: PlanGround | undefined): string | undefined {
  if (ground === undefined) return undefined;
  if ('targets' in made) return picturePage(planPicture(made, ground, new Date()));
  return made.cluster && picturePage(changePicture(made, made.cluster, ground, new Date()));
}

/** Where a reader of the result would look for them; text and JSON have them on standard error alone. */
export async function putFaults(error: PatchpanelError | PatchpanelErrors, options: PlanOutputOptions): Promise<void> {
  await put(options.outputs, (format) => faultsAs(error, format, options));
}

async function put(
  outputs: readonly PlanOutput[],
  make: (format: PlanFormat, style: Style) => string | undefined,
): Promise<void> {
  const [files, streams] = [
    outputs.filter(({ file }) => file !== undefined),
    outputs.filter(({ file }) => file === undefined),
  ];
  for (const { format, file = '' } of files) {
    const text = make(format, makeStyle(false));
    if (text !== undefined) writeText(file, text);
  }
  for (const { format } of streams) {
    const text = make(format, outputStyle());
    if (text !== undefined) await print(text);
  }
}

function writeText(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unwritable';
    const remedy = 'Check the folder and its permissions.';
    throw new PatchpanelError('cli/input', `${file} can not be written (${reason})`, { cause, remedy });
  }
}

function planAs(
  made: Plan,
  format: Exclude<PlanFormat, 'html'>,
  style: Style,
  { marker, version }: PlanOutputOptions,
): string {
  switch (format) {
    case 'json':
      return planToJson(made);
    case 'markdown':
      return planMarkdown(made, marker);
    case 'text':
      return planText(made, style);
    case 'junit':
      return planJunit(made);
    case 'sarif':
      return sarifText(planFindings(made), version);
    default:
      return format satisfies never;
  }
}

function changeAs(
  made: Change,
  format: Exclude<PlanFormat, 'html'>,
  style: Style,
  { marker, version }: PlanOutputOptions,
): string {
  switch (format) {
    case 'json':
      return changeToJson(made);
    case 'markdown':
      return changeMarkdown(made, marker);
    case 'text':
      return changeText(made, style);
    case 'junit':
      return changeJunit(made);
    case 'sarif':
      return sarifText(changeFindings(made), version);
    default:
      return format satisfies never;
  }
}

function faultsAs(
  error: PatchpanelError | PatchpanelErrors,
  format: PlanFormat,
  { marker, version }: PlanOutputOptions,
): string | undefined {
  switch (format) {
    case 'markdown':
      return faultMarkdown(error, marker);
    case 'junit':
      return faultJunit(error);
    case 'sarif':
      return sarifText(faultFindings(error), version);
    case 'text':
    case 'json':
    case 'html':
      return undefined;
    default:
      return format satisfies never;
  }
}
