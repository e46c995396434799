/** Desired-state repositories for tests, and what loading them says. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { PatchpanelError, PatchpanelErrors } from '../reconcile/errors.ts';

export type FileTexts = Readonly<Record<string, string | Uint8Array>>;

/** A temporary folder with the given files; it is removed when the test ends. */
export async function repository(context: TestContext, files: FileTexts = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'patchpanel-test-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  await writeFiles(folder, files);
  return folder;
}

export async function writeFiles(folder: string, files: FileTexts): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** One object with these attachments, as YAML; each line of `spec` is indented by two. */
export function vmYaml(name: string, spec = 'attachments: []'): string {
  const lines = spec.split('\n').map((line) => `  ${line}`);
  return [
    'apiVersion: patchpanel.dev/v1alpha1',
    'kind: NetworkAttachments',
    `metadata: { name: ${name}, namespace: prod }`,
    'spec:',
    ...lines,
    '',
  ].join('\n');
}

/** All faults that a promise is rejected with; anything unexpected is thrown on. */
export async function faultsOf(work: Promise<unknown>): Promise<readonly PatchpanelError[]> {
  try {
    await work;
    return [];
  } catch (error) {
    if (error instanceof PatchpanelErrors) return error.errors;
    if (error instanceof PatchpanelError) return [error];
    throw error;
  }
}

/** `file:line:column code`, or the code alone where there is no place. */
export function placeAndCode({ position, code }: PatchpanelError): string {
  return position === undefined ? code : `${position.file}:${position.line}:${position.column} ${code}`;
}
